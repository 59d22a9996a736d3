"""Runs cells on this machine: a process for each, forked from a server that has torch loaded."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import time
from multiprocessing import connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from bench.execution.executor import Finished

PRELOAD = [
    "torch",
    "torch._inductor.config",  # takes 1.1 s when deterministic algorithms are set
    "pydantic",
    "bench.worker.main",
]
BUSY = 3  # exit code of a worker whose cell is held by another launch


def work(folder: str) -> None:
    """The main function of a worker process."""
    importlib.import_module("bench.worker.main").main(Path(folder))


class LocalExecutor:
    """At most `slots` processes at once, so that a crash or a hang affects a single cell."""

    def __init__(self, slots: int, threads: int) -> None:
        self.slots = slots
        os.environ["OMP_NUM_THREADS"] = str(threads)
        os.environ["MKL_NUM_THREADS"] = str(threads)
        # Without it, matrix products on CUDA differ from run to run.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(PRELOAD)
        self.processes: dict[Path, tuple[ForkServerProcess, float, float]] = {}

    def submit(self, folder: Path, time_limit_s: float) -> None:
        """Start a worker on a cell."""
        process = self.context.Process(target=work, args=(str(folder),), daemon=True)
        process.start()
        self.processes[folder] = (process, time.monotonic() + time_limit_s, time_limit_s)

    def running(self) -> list[Path]:
        """The folders of the cells that run."""
        return list(self.processes)

    def wait(self, timeout_s: float) -> list[Finished]:
        """The workers that ended or ran past their limit; see `Executor.wait`."""
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
        if late:
            return Finished(folder, "timed out", f"no result after {limit:g} s")
        code = process.exitcode or 0
        if code < 0:
            return Finished(folder, "crashed", f"killed by {_signal_name(-code)}")
        if code == BUSY:
            return Finished(folder, "busy", f"exit code {code}")
        return Finished(folder, "ended", f"exit code {code}")

    def close(self) -> None:
        """Kill all workers; the next run starts their cells again."""
        for process, _, _ in self.processes.values():
            process.kill()
        for process, _, _ in self.processes.values():
            process.join()
        self.processes.clear()


def _signal_name(number: int) -> str:
    name = signal.Signals(number).name
    if name == "SIGKILL":
        return f"{name} (out of memory?)"
    return name
