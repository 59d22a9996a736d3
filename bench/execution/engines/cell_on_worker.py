"""What an engine runs on its workers: a proof that the worker fits, then one cell after another.

An engine moves nothing but the short words of an `Errand` and the key of a cell. A cell runs in a
process of its own, through the same leases and attempts as on one machine.
"""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from bench import hashing
from bench.cell_folder import CellFolder
from bench.errors import BenchError
from bench.execution.attempts import SLOW_S
from bench.execution.devices import NO_DEVICES, Devices, Places, memory_here_gb, visible_cards
from bench.execution.executor import Finished
from bench.execution.local import PROCESSES, ROOT, LocalExecutor
from bench.execution.settling import interrupted_by, settle
from bench.execution.shared_work import SharedFolder
from bench.files.hosts import host_name
from bench.planning.workplace import read_workplace
from bench.store import Store

LOOK_EVERY_S = 0.05
STOPPED = "stopped"  # how a cell ended that the driver no longer waits for

_stopped: set[str] = set()  # launches whose driver has said that it ends


@dataclass(frozen=True)
class Errand:
    """What a worker is told of a run: all but the key of a cell."""

    out: str  # the folder, by the path that it has on every machine
    nonce: str  # of the folder that the driver sees
    code: str  # hash of the code that runs cells
    version: str  # of the engine
    plugins: tuple[str, ...]
    launch: str  # a name of this run of the driver


@dataclass(frozen=True)
class Proof:
    """What a worker says of itself before it gets a cell."""

    host: str
    refusal: str  # why it may not work on the folder; "" if it may
    cards: int = 0  # GPUs that it sees
    memory_gb: float = 0.0


def errand_of(store: Store, plugins: tuple[str, ...], launch: str, package: str) -> Errand:
    """What the workers of an engine, which is a package of this name, are told."""
    nonce = read_workplace(store.out).nonce
    version = metadata.version(package)
    return Errand(str(store.out.resolve()), nonce, execution_code(), version, plugins, launch)


@lru_cache(maxsize=1)
def execution_code() -> str:
    """A hash of the code that runs cells, which must be one on all machines of a run."""
    return hashing.code_hash([ROOT / "bench" / "execution", ROOT / "bench" / "files"])


def prove(errand: Errand, package: str) -> Proof:
    """Whether this worker sees the folder, has its code, its versions and enough disk."""
    try:
        _check_code(errand, package)
        _shared_folder(errand)
    except BenchError as problem:
        return Proof(host_name(), str(problem))
    return Proof(host_name(), "", len(visible_cards()), memory_here_gb())


def _check_code(errand: Errand, package: str) -> None:
    here = f"{host_name()} cannot work on {errand.out}"
    version = metadata.version(package)
    if version != errand.version:
        raise BenchError(
            f"{here}: {package} {version} is here, the driver has {errand.version}; "
            "install the same version"
        )
    if execution_code() != errand.code:
        raise BenchError(
            f"{here}: the driver has other code of this project; use the same commit everywhere"
        )


@lru_cache(maxsize=8)
def _shared_folder(errand: Errand) -> SharedFolder:
    plugins = [Path(file) for file in errand.plugins]
    return SharedFolder(Store(Path(errand.out), plugins), plugins, errand.nonce)


def run_cell(
    errand: Errand, key: str, time_limit_s: float, card: str | None = None
) -> tuple[str, str]:
    """Run and score a cell in a process of its own; returns how it ended, and a word on that.

    What it achieved lies in its folder. With a `card` it sees no other GPU.
    """
    shared = _shared_folder(errand)
    folder = shared.store.cell(key)
    job = None
    try:
        _await_job(folder)
        job = folder.read_job()
        devices = NO_DEVICES if card is None else Devices((card,))
        executor = LocalExecutor(1, shared.plan.suite.threads, Places(1, devices))
        ended = _run_process(executor, folder, time_limit_s, errand.launch)
    except OSError as problem:
        ended = interrupted_by(folder, problem)
    if ended is None:
        return STOPPED, ""
    settled = settle(ended, job, shared.score)
    return settled.how, settled.detail


def _await_job(folder: CellFolder) -> None:
    """Wait for the file that the driver has just written, where the file system is slow."""
    until = time.monotonic() + SLOW_S
    while not folder.has_whole_job and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)


def _run_process(
    executor: LocalExecutor, folder: CellFolder, time_limit_s: float, launch: str
) -> Finished | None:
    """Run a cell to its end; None where its launch was stopped meanwhile."""
    with PROCESSES:
        _allow_children()
        executor.submit(folder.path, time_limit_s)
    try:
        while launch not in _stopped:
            with PROCESSES:
                ended = executor.wait(0.0)
            if ended:
                return ended[0]
            time.sleep(LOOK_EVERY_S)
    finally:
        with PROCESSES:
            executor.close()
    return None


def _allow_children() -> None:
    """Let this process start others, though Dask marks it as a daemon."""
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]


def stop(launch: str) -> None:
    """End what runs here for a launch, and give it back."""
    _stopped.add(launch)
