"""Which Dask worker gets a cell, and when the driver believes that a cell has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.cell_folder import CellFolder
from bench.errors import BenchError
from bench.execution import attempts
from bench.execution.engines import dask_engine
from bench.execution.engines.cell_on_worker import Errand, Proof
from bench.execution.engines.dask_engine import DaskExecutor, Workers
from bench.execution.executor import ANY, Finished, Needs

ERRAND = Errand("out", "nonce", "code", "1", (), "launch")
GPU = Needs(gpu=True)
NO_SPACE = "[Errno 28] No space left on device"


@dataclass
class Answer:
    """A future of Dask that has come true."""

    value: object
    status: str = "finished"

    def done(self) -> bool:
        return True

    def result(self) -> object:
        return self.value

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        call(self)


@dataclass
class FakeClient:
    """Workers at some addresses that prove what they are told to and end cells at once."""

    proofs: dict[str, Proof]
    ends: dict[str, tuple[str, str]] = field(default_factory=dict)  # how cells end, by address
    status: str = "running"

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": {address: {"nthreads": 1} for address in self.proofs}}

    def submit(self, function: Callable[..., Any], *words: object, **how: Any) -> Answer:
        [address] = how["workers"]
        if function.__name__ == "prove":
            return Answer(self.proofs[address])
        return Answer(self.ends.get(address, ("ended", "")))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(dask_engine, "LOOK_AGAIN_S", 0.01)


def executor_of(client: FakeClient) -> DaskExecutor:
    executor = DaskExecutor(Workers(client, ERRAND))  # type: ignore[arg-type]
    executor.workers.look()
    return executor


def run(executor: DaskExecutor, folder: Path) -> tuple[str, list[Finished]]:
    """Give a cell to a worker; returns its address, and what the driver hears of it."""
    executor.submit(folder, 1.0)
    [(_, address)] = executor.futures.values()
    return address, executor.wait(0.01)


def cell(folder: Path, name: str) -> Path:
    CellFolder(folder / name).make()
    return folder / name


def test_workers_that_do_not_fit_are_named_once_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reason = "b cannot work on /runs/toy: 3 MB are free, expected 500; free the disk"
    executor = executor_of(FakeClient({"a": Proof("a", ""), "b": Proof("b", reason)}))
    for _ in range(3):
        executor.workers.look()
    assert [record.getMessage() for record in caplog.records] == [
        f"note: worker b is left out: {reason}"
    ]
    assert executor.slots == 1 and executor.has_room(ANY)
    with pytest.raises(BenchError, match=r"no worker may work on this run; b cannot work on"):
        executor_of(FakeClient({"b": Proof("b", reason)}))


def test_a_full_disk_on_one_worker_takes_no_cells_from_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended each cell at once, was free again, and so got the next one."""
    client = FakeClient({"a": Proof("a", ""), "b": Proof("b", "")}, {"a": ("disk", NO_SPACE)})
    executor = executor_of(client)
    folder = cell(tmp_path, "1")
    assert run(executor, folder) == ("a", [Finished(folder, "disk", NO_SPACE)])
    for name in ("2", "3"):
        folder = cell(tmp_path, name)
        CellFolder(folder).write_failure("error", "its own")
        assert run(executor, folder) == ("b", [Finished(folder, "ended")])
    assert [record.getMessage() for record in caplog.records] == [
        f"note: worker a rests for 60 s: disk: {NO_SPACE}"
    ]
    del client.proofs["b"]
    executor.workers.look()
    assert executor.has_room(ANY)  # alone, it is tried at once: a full shared disk ends the run


def test_cells_that_need_a_gpu_wait_for_a_worker_with_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = FakeClient({"a": Proof("a", "", memory_gb=8.0)})
    executor = executor_of(client)
    assert not any(executor.has_room(GPU) for _ in range(3))
    assert executor.has_room(ANY) and not executor.lacks(GPU)
    assert caplog.messages == ["note: some runs wait for a worker with a GPU"]
    client.proofs["b"] = Proof("b", "", cards=1, memory_gb=8.0)
    executor.workers.look()
    executor.workers.look()
    assert executor.has_room(GPU)
    executor.submit(Path("1"), 1.0, GPU)
    assert [address for _, address in executor.futures.values()] == ["b"]


def hidden_for(looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the folder of a cell show its result after so many looks at it alone."""
    has_result = CellFolder.has_result.fget
    assert has_result is not None
    seen: list[CellFolder] = []

    def seen_late(folder: CellFolder) -> bool:
        seen.append(folder)
        return len(seen) > looks and bool(has_result(folder))

    monkeypatch.setattr(CellFolder, "has_result", property(seen_late))


def test_the_driver_waits_for_a_slow_directory_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker says that the cell ended, and its files are seen a little later."""
    executor = executor_of(FakeClient({"a": Proof("a", "")}))
    folder = cell(tmp_path, "1")
    (folder / "result.json").touch()
    hidden_for(6, monkeypatch)
    assert run(executor, folder)[1] == []
    for _ in range(20):
        assert executor.running() == [folder]
        ended = executor.wait(0.01)
        if ended:
            break
    assert ended == [Finished(folder, "ended")]
    assert executor.running() == []


def test_what_is_never_seen_is_lost_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = executor_of(FakeClient({"a": Proof("a", "")}))
    folder = cell(tmp_path, "1")
    assert run(executor, folder)[1] == []
    monkeypatch.setattr(executor, "unseen", {folder: -attempts.SLOW_S})
    [finished] = executor.wait(0.01)
    assert (finished.how, finished.detail) == (
        "lost",
        "its worker said that it ended; no file does",
    )
