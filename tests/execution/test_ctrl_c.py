"""Ctrl-C leaves workers clean: one line, no process, no claim, and the same command goes on."""

import gc
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import distributed
import pytest

from bench.execution import local
from bench.execution.engines import dask_clusters
from bench.execution.local import ctrl_c_is_kept
from bench.store import Store
from tests.support.command_line import PLUGINS, ROOT, Command, suite_file
from tests.support.tiny_bench import planned

SLOW = {"method": "faulty", "variant": "slow", "config": {"fault": "slow"}}
SLOWLY = {"methods": ["threshold", SLOW], "fractions": [1.0], "subsets": 2, "steps": 25}
MARK = "SCARCEBENCH_TEST_MARK"  # in the environment of all processes that a driver starts


def wait_for(condition: Callable[[], object], seconds: float) -> bool:
    """Whether a condition comes to hold within some seconds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def processes_with(mark: str) -> dict[int, str]:
    """The command lines of all processes that have a mark, by their number."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                words = (folder / "cmdline").read_bytes().split(b"\0")
                found[int(folder.name)] = b" ".join(words).decode(errors="replace")
    return found


def slow_cells_that_run(out: Path) -> list[str]:
    """The keys of the slow cells that have reported a step."""
    if not (out / "plan.json").exists():
        return []
    slow = [cell.key for cell in planned(Store(out), variant="slow")]
    return [key for key in slow if any(out.glob(f".try-*/{key}/progress.json"))]


def is_halfway(out: Path) -> bool:
    """Whether a slow cell runs after another one has finished."""
    return bool(slow_cells_that_run(out)) and any(out.glob("cells/*/result.json"))


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark whose processes are all ended with the test."""
    name = uuid.uuid4().hex
    yield name
    for process in processes_with(name):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
@pytest.mark.parametrize("engine", [pytest.param("local", marks=pytest.mark.slow), "dask"])
def test_ctrl_c_in_a_terminal_leaves_nothing_behind(
    tmp_path: Path, command: Command, mark: str, engine: str
) -> None:
    """A terminal sends it to all processes at once: workers of Dask printed tracebacks."""
    out = tmp_path / "runs" / "toy"
    words = ["run", str(suite_file(tmp_path, **SLOWLY)), "--out", str(out), *PLUGINS]
    driver = subprocess.Popen(
        [sys.executable, str(ROOT / "run_bench.py"), *words, "--engine", engine, "--workers=2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What a shell starts in the background ignores it, and so would the driver.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={**os.environ, MARK: mark, "SCARCEBENCH_MLFLOW": "off"},
    )
    assert wait_for(lambda: is_halfway(out) or driver.poll() is not None, 240)
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == 130, said
    assert "Traceback" not in said and "KeyboardInterrupt" not in said
    last = said.strip().splitlines()[-1]
    assert last == "stopped; finished cells are kept; run the same command to go on"
    assert wait_for(lambda: not processes_with(mark), 30), processes_with(mark)
    store = Store(out)
    states = {store.state(cell.key) for cell in planned(store)}
    assert states == {"done", "missing"}
    code, _ = command(words)
    assert code == 0
    assert {store.state(cell.key) for cell in planned(store)} == {"done"}


def test_ctrl_c_while_a_worker_starts_waits_until_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker read a request that was cut off, printed a traceback, and nobody ended it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    started: list[str] = []

    def interrupted_start(*words: object) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        started.append("whole")
        return "process"

    monkeypatch.setattr(local, "started_process", interrupted_start)
    executor = local.LocalExecutor(1, 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            executor.submit(tmp_path / "cell", 60.0)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert started == ["whole"]
    assert executor.running() == [tmp_path / "cell"]


def test_ctrl_c_while_a_process_starts_waits_until_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is started for: cells, or the images that a worker judges."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    started: list[str] = []

    def interrupted_start(process: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        started.append("whole")

    monkeypatch.setattr(local, "_start_server", lambda: None)
    monkeypatch.setattr(local.ForkServerProcess, "start", interrupted_start)
    try:
        with pytest.raises(KeyboardInterrupt):
            local.started_process(print)
    finally:
        signal.signal(signal.SIGINT, before)
    assert started == ["whole"]


def test_ctrl_c_while_the_server_starts_is_not_lost() -> None:
    """Before each process starts, Ctrl-C was ignored for a moment, and the run went on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    done: list[str] = []
    try:
        with pytest.raises(KeyboardInterrupt), local.ctrl_c_blocked():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("whole")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["whole"]


def test_ctrl_c_while_a_cluster_of_dask_starts_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was ignored for the seconds that a cluster takes to start, and the run went on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    done: list[str] = []

    class Cluster:
        def __init__(self, **words: object) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            done.append("whole")

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *problem: object) -> None:
            done.append("closed")

    monkeypatch.setattr(distributed, "LocalCluster", Cluster)
    try:
        with pytest.raises(KeyboardInterrupt), dask_clusters.cluster_here(1):
            done.append("used")
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["whole", "closed"]


def test_what_starts_while_ctrl_c_is_blocked_never_sees_it() -> None:
    """A program that has forgotten all handlers, as one that was executed has."""
    waits = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    says = "print('ready', flush=True); time.sleep(0.5); print('alive')"
    with local.ctrl_c_blocked():
        child = subprocess.Popen(
            [sys.executable, "-c", waits + says], stdout=subprocess.PIPE, text=True
        )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=30)[0] == "alive\n"


def test_a_swallowed_ctrl_c_takes_effect_a_little_later() -> None:
    """One that fell into a garbage collection of `distributed` was lost, and the run went on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), ctrl_c_is_kept() as check:
            check()
            with suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
            check()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_ctrl_c_in_a_garbage_collection_prints_no_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Python prints what it ignores in a callback of its garbage collector."""

    def press(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    hook = sys.unraisablehook
    sys.unraisablehook = sys.__unraisablehook__  # pytest has one of its own
    try:
        with pytest.raises(KeyboardInterrupt), ctrl_c_is_kept() as check:
            gc.callbacks.append(press)
            with suppress(KeyboardInterrupt):
                gc.collect()
            gc.callbacks.remove(press)
            check()
        assert sys.unraisablehook is sys.__unraisablehook__
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err == ""


def test_where_ctrl_c_is_ignored_it_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ctrl_c_is_kept() as check:
            os.kill(os.getpid(), signal.SIGINT)
            check()
    finally:
        signal.signal(signal.SIGINT, before)
