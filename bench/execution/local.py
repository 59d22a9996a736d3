"""Runs cells on this machine: a process for each, forked from a server that has torch loaded."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import FrameType
from typing import cast

from bench import store
from bench.cell_folder import CellFolder
from bench.execution import attempts
from bench.execution.devices import (
    VISIBLE,
    Places,
    cells_at_once,
    cores_for,
    devices_here,
    memory_here_gb,
)
from bench.execution.executor import ANY, Finished, How, Needs
from bench.worker.failures import DISK, MEMORY, describe_failure, describe_signal, lacks_memory

PRELOAD = [
    "torch",
    "torch._inductor.config",  # takes 1.1 s when deterministic algorithms are set
    "pydantic",
    "bench.worker.main",
    "bench.execution.attempts",
]
END_OF_LOG = 4000  # characters
BUSY, NO_MEMORY, NO_DISK = 3, 4, 74  # exit codes of workers; see bench.worker.main
ROOT = Path(__file__).resolve().parents[2]
IMPORT_SETTINGS = ("PYTHONPATH", "PYTHONSAFEPATH")  # where Python looks for modules
# Where threads start processes: multiprocessing looks after all of them in whichever thread.
PROCESSES = threading.Lock()
SERVER_DIED = 255  # what multiprocessing says where the server of a process is gone


def work(folder: str, environment: Mapping[str, str | None]) -> None:
    """The main function of a worker process, with the environment of the run, not the server.

    It ends where another machine has taken its cell over, because it was not heard of.
    """
    _set_environment(environment)
    try:
        worker = importlib.import_module("bench.worker.main")
    except Exception as problem:  # torch needs gigabytes to be imported
        print(f"a worker cannot start: {describe_failure(problem)[1]}", file=sys.stderr)
        code = NO_MEMORY if lacks_memory(problem) else 1
        sys.exit(code)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    cell = CellFolder(Path(folder).absolute())

    def give_up() -> None:
        store.disclaim(cell.path)
        os._exit(BUSY)

    try:
        code = attempts.run(cell, worker.main, give_up)
    except OSError as problem:
        kind, message = describe_failure(problem)
        print(f"cell {cell.key}: {message}", file=sys.stderr)
        code = NO_DISK if kind == DISK else 1
    sys.exit(code)


class LocalExecutor:
    """At most `slots` processes at once, so that a crash or a hang affects a single cell."""

    settles = False

    def __init__(self, slots: int, threads: int, places: Places | None = None) -> None:
        self.slots = slots
        self.places = places or Places(slots)
        os.environ["OMP_NUM_THREADS"] = str(threads)
        os.environ["MKL_NUM_THREADS"] = str(threads)
        # Without it, matrix products on CUDA differ from run to run.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        self.context = multiprocessing.get_context("forkserver")
        self.processes: dict[Path, tuple[ForkServerProcess, float, float]] = {}
        self.lost: list[Finished] = []  # that could not be started

    def lacks(self, needs: Needs) -> str:
        """Why this machine can never run a cell of these needs; "" if it can."""
        return self.places.lacks(needs)

    def has_room(self, needs: Needs) -> bool:
        """Whether a cell of these needs would start now."""
        return self.places.has_room(needs)

    def submit(self, folder: Path, time_limit_s: float, needs: Needs = ANY) -> None:
        """Start a worker on a cell, which sees the GPU that it gets and no other."""
        environment = {name: os.environ.get(name) for name in IMPORT_SETTINGS}
        card = self.places.take(folder, needs)
        if card is not None:
            environment[VISIBLE] = card
        with ctrl_c_waits():  # until the worker is known, so that it is ended
            try:
                process = started_process(work, str(folder), environment)
            except (OSError, EOFError) as problem:
                reason = f"no worker could be started ({type(problem).__name__}: {problem})"
                self.lost.append(Finished(folder, "lost", reason))
                self.places.free(folder)
                return
            self.processes[folder] = (process, time.monotonic() + time_limit_s, time_limit_s)

    def running(self) -> list[Path]:
        """The folders of the cells that run."""
        return list(self.processes)

    def wait(self, timeout_s: float) -> list[Finished]:
        """The workers that ended or ran past their limit; see `Executor.wait`."""
        if self.lost:
            lost = self.lost
            self.lost = []
            return lost
        deadlines = [deadline for _, deadline, _ in self.processes.values()]
        pause = timeout_s
        for deadline in deadlines:
            pause = min(pause, deadline - time.monotonic())
        sentinels = [process.sentinel for process, _, _ in self.processes.values()]
        connection.wait(sentinels, max(0.0, pause))
        ended = [self._ended(folder) for folder in list(self.processes)]
        return [finished for finished in ended if finished]

    def _ended(self, folder: Path) -> Finished | None:
        process, deadline, limit = self.processes[folder]
        if process.is_alive() and time.monotonic() < deadline:
            return None
        late = process.is_alive()
        if late:
            process.kill()
        process.join()
        del self.processes[folder]
        self.places.free(folder)
        assert process.pid is not None
        was_lost = process.exitcode == SERVER_DIED and _holds(folder, process.pid)
        _kill_group(process.pid)
        if late:
            return Finished(folder, "timeout", f"no result after {limit:g} s")
        if was_lost:
            return Finished(folder, "lost", "the server of the workers was killed")
        return _by_exit_code(folder, process.exitcode or 0, process.pid)

    def close(self) -> None:
        """Kill all workers; the next run starts their cells again."""
        for process, _, _ in self.processes.values():
            process.kill()
        for process, _, _ in self.processes.values():
            process.join()
            if process.pid is not None:
                _kill_group(process.pid)
        for folder in self.processes:
            self.places.free(folder)
            with suppress(OSError):
                attempts.gather(CellFolder(folder))
        self.processes.clear()


def started_process(target: Callable[..., None], *words: object) -> ForkServerProcess:
    """A process on this machine that has torch loaded. Raises OSError, EOFError."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    process = context.Process(target=target, args=words, daemon=True)
    with ctrl_c_waits():  # a process that is half started prints a traceback
        _start_server()
        process.start()
    return process


def local_executor(
    threads: int, workers: int | None, device: str = "auto", per_device: int = 1
) -> LocalExecutor:
    """What runs cells on the GPUs of this machine, or without any on its cores.

    Without a number of workers, one for each place on a GPU, or as many as cores have threads for.
    """
    here = devices_here(device, per_device)
    slots = workers or cells_at_once(here, threads)
    on_cores = 0
    if here.cards:
        on_cores = max(0, (workers or cores_for(threads)) - here.places)
        slots = min(slots, here.places)
    return LocalExecutor(slots, threads, Places(slots, here, memory_here_gb(), on_cores))


def _start_server() -> None:
    """Start the server that forks workers, deaf to Ctrl-C from its first moment on.

    While it imports torch it would print a traceback.
    """
    with ctrl_c_blocked():
        _start_with_own_imports()


@contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """What starts meanwhile, threads too, never sees Ctrl-C; here it takes effect afterwards.

    A terminal sends Ctrl-C to all processes. Were it ignored here too, a press would be lost.
    """
    resource_tracker.ensure_running()  # once it has started, it lets Ctrl-C through again
    with ctrl_c_waits():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def ctrl_c_waits() -> Iterator[None]:
    """Ctrl-C takes effect at the end of the block, so that the block is done whole.

    In a thread nothing can be changed, and Ctrl-C interrupts the main thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed and callable(before):
        before(*pressed[0])


@contextmanager
def ctrl_c_is_kept() -> Iterator[Callable[[], None]]:
    """Ctrl-C interrupts as ever, and if that was swallowed, at the next call of what is given.

    Python ignores exceptions of callbacks of its garbage collector, and `distributed` has one. The
    traceback that Python prints of them is left out, since this one is not ignored.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield lambda: None
        return
    pressed: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        before(number, frame)

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    print_unraisable = sys.unraisablehook

    def print_others(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            print_unraisable(unraisable)

    signal.signal(signal.SIGINT, handle)
    sys.unraisablehook = print_others
    try:
        yield check
    finally:
        sys.unraisablehook = print_unraisable
        signal.signal(signal.SIGINT, before)


def _start_with_own_imports() -> None:
    """Start the server so that it imports this harness, whose code is in the keys of runs.

    By itself it would import a folder `bench` of the working directory, or an installed version.
    """
    before = {name: os.environ.get(name) for name in IMPORT_SETTINGS}
    paths = [str(ROOT), *filter(None, [before["PYTHONPATH"]])]
    _set_environment({"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"})
    try:
        forkserver.ensure_running()
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _by_exit_code(folder: Path, code: int, process: int) -> Finished:
    """How a worker ended that was not killed here."""
    if code < 0:
        kind, message = describe_signal(-code)
        if -code == signal.SIGABRT and _log_tells_of_memory(folder):
            kind = MEMORY
        return Finished(folder, cast(How, kind), message)
    if code == BUSY and _is_held_elsewhere(folder, process):
        return Finished(folder, "busy", f"exit code {code}")
    if code == NO_MEMORY:
        return Finished(folder, "out of memory", f"exit code {code}; see log.txt")
    if code == NO_DISK:
        return Finished(folder, "disk", f"exit code {code}; see log.txt")
    return Finished(folder, "ended", f"exit code {code}")


def _log_tells_of_memory(folder: Path) -> bool:
    """Whether a worker said that memory had run out before native code of torch aborted it."""
    log = attempts.latest(CellFolder(folder)).log
    try:
        end = log.read_text(errors="replace")[-END_OF_LOG:]
    except OSError:
        return False
    return describe_failure(RuntimeError(end))[0] == MEMORY


def _is_held_elsewhere(folder: Path, process: int) -> bool:
    """Whether another launch holds a cell: any method can end with the exit code that says so.

    The process has ended and holds nothing. In another container one may have the same number.
    """
    holder = store.claimed_by(folder)
    return store.is_claimed(folder) or holder not in (None, process)


def _holds(folder: Path, process: int) -> bool:
    """Whether a worker still runs on a cell."""
    return store.claimed_by(folder) == process and store.is_claimed(folder)


def _kill_group(process: int) -> None:
    """Kill what a worker has left running, itself included where its server is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
