"""Attempts at a cell by several machines: the first whole one wins, and no file of it is lost."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.cell_folder import SETTLED, CellFolder
from bench.cell_records import CellResult
from bench.execution import attempts
from bench.execution.attempts import BUSY, FINISHED, Settled
from bench.files import leases
from bench.files.leases import EXPIRES_S, read_lease
from bench.files.records import create_record
from bench.store import Store
from tests.support.two_hosts import as_host, not_heard_of_for

HOUR = 3600.0


@pytest.fixture
def cell(tmp_path: Path) -> CellFolder:
    folder = Store(tmp_path / "out").cell("0" * 20)
    folder.make()
    (folder.path / "cell.json").write_text("{}")
    return folder


def write(path: Path, text: str) -> None:
    """What a training leaves, with the mark that says that it is whole."""
    folder = CellFolder(path)
    folder.predictions("last").mkdir(parents=True)
    (folder.predictions("last") / "case.npz").write_text(text)
    folder.log.write_text(text)
    folder.write_result(CellResult(folder.key, 1))


def trained(text: str) -> Callable[[Path], None]:
    return lambda path: write(path, text)


def content(cell: CellFolder) -> dict[str, bytes]:
    """Every file of a cell, but for its claim."""
    files = {}
    for file in sorted(cell.path.rglob("*")):
        if file.is_file() and file.name != "claim":
            files[str(file.relative_to(cell.path))] = file.read_bytes()
    return files


def fail(path: Path) -> None:
    raise AssertionError("it was trained again")


def test_an_attempt_is_put_in_place(cell: CellFolder) -> None:
    assert attempts.run(cell, trained("a")) == FINISHED
    assert cell.work.changed() == []
    names = ["cell.json", "claim", "digests.json", "log.txt", "predictions", "result.json"]
    assert sorted(entry.name for entry in cell.path.iterdir()) == [*names, SETTLED]
    assert [entry.name for entry in cell.path.parent.parent.iterdir()] == ["cells"]
    assert attempts.run(cell, fail) == FINISHED


def test_a_second_machine_does_not_touch_what_another_one_holds(cell: CellFolder) -> None:
    """Its clock is an hour ahead, and it does not see the lock of the file."""

    def train(path: Path) -> None:
        before = content(cell)
        with as_host("b", clock_s=HOUR):
            assert attempts.run(cell, fail) == BUSY
        assert content(cell) == before
        write(path, "a")

    with as_host("a"):
        assert attempts.run(cell, train) == FINISHED
    assert (cell.predictions("last") / "case.npz").read_text() == "a"


@pytest.mark.parametrize("clock_s", [-HOUR, HOUR])
def test_the_first_whole_attempt_wins(cell: CellFolder, clock_s: float) -> None:
    """A machine that was taken for dead wakes up: it neither mixes in its files nor removes any.

    The second trainer emptied the folder that the first one was writing to.
    """
    seen: list[dict[str, bytes]] = []

    def train(path: Path) -> None:
        write(path, "first, and late")
        own = sorted(path.rglob("*"))
        not_heard_of_for(cell.path, EXPIRES_S + 30)
        with as_host("b", clock_s=clock_s):
            assert attempts.run(cell, trained("second, and whole")) == FINISHED
        assert sorted(path.rglob("*")) == own
        seen.append(content(cell))

    with as_host("a"):
        assert attempts.run(cell, train) == FINISHED
    assert content(cell) == seen[0]
    assert attempts.host_of(cell) == "b"
    assert (cell.predictions("last") / "case.npz").read_text() == "second, and whole"
    assert cell.work.changed() == []
    assert not list(cell.path.parent.parent.glob(".try-*"))


def test_the_first_may_still_win_while_the_second_trains(cell: CellFolder) -> None:
    def second(path: Path) -> None:
        """While this one trains the first one comes to its end."""
        first = next(attempts_of(cell, but=path))
        write(first.path, "first")
        with as_host("a"):
            attempts._settle(cell, first)
        write(path, "second")

    def late(path: Path) -> None:
        not_heard_of_for(cell.path, EXPIRES_S + 30)
        with as_host("b"):
            attempts.run(cell, second)
        raise SystemExit(1)

    with as_host("a"):
        attempts.run(cell, late)
    assert (cell.predictions("last") / "case.npz").read_text() == "first"
    assert cell.work.changed() == []


def attempts_of(cell: CellFolder, but: Path) -> Iterator[CellFolder]:
    """The attempts at a cell, without one of them."""
    for folder in cell.path.parent.parent.glob(f".try-*/{cell.key}"):
        if folder != but:
            yield CellFolder(folder)


def test_a_killed_attempt_goes_on_elsewhere(cell: CellFolder) -> None:
    """Its states are shared, its log is copied, and its own files stay."""

    def killed(path: Path) -> None:
        folder = CellFolder(path)
        folder.snapshot.write_text("step 5")
        (folder.checkpoints / "4").mkdir(parents=True)
        (folder.checkpoints / "4" / "state.snapshot").write_text("step 4")
        folder.log.write_text("launch 1\n")
        raise KeyboardInterrupt

    def going_on(path: Path) -> None:
        folder = CellFolder(path)
        assert folder.snapshot.read_text() == "step 5"
        assert (folder.checkpoints / "4" / "state.snapshot").read_text() == "step 4"
        assert folder.log.read_text() == "launch 1\n"
        with folder.log.open("a") as log:
            log.write("launch 2\n")
        folder.write_result(CellResult(folder.key, 1))

    with as_host("a"), pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(leases.HeldLease, "end", lambda self, others_go_on: self.rest())
        attempts.run(cell, killed)
    [first] = attempts_of(cell, but=cell.path)
    before = content(first)
    with as_host("b"):
        assert attempts.run(cell, fail) == BUSY
        not_heard_of_for(cell.path, EXPIRES_S + 30)
        assert attempts.run(cell, going_on) == FINISHED
    assert content(first) == before
    assert cell.log.read_text() == "launch 1\nlaunch 2\n"


def test_what_a_killed_process_moved_in_part_is_completed(cell: CellFolder) -> None:
    """By a machine that sees all of it only after a while, and trains nothing."""
    first = CellFolder(cell.path.parent.parent / ".try-a" / cell.key)
    first.make()
    write(first.path, "a")
    whole = content(first)
    entries = ["digests.json", "log.txt", "predictions", "result.json"]
    with as_host("a"):
        create_record(cell.path / SETTLED, Settled(".try-a", leases.hosts.kernel_id(), entries))
    (first.path / "predictions").rename(cell.path / "predictions")
    with as_host("b"):
        assert attempts.run(cell, fail) == FINISHED
    left = content(cell)
    assert {name: left[name] for name in whole} == whole
    assert not first.path.exists()


def test_a_slow_directory_listing_removes_and_repeats_nothing(
    cell: CellFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that does not see the result yet took it for one that had been removed."""
    with as_host("a"):
        attempts.run(cell, trained("a"))
    before = content(cell)
    looks: list[CellFolder] = []
    has_result = CellFolder.has_result.fget
    assert has_result is not None

    def seen_late(folder: CellFolder) -> bool:
        looks.append(folder)
        return len(looks) > 6 and has_result(folder)

    monkeypatch.setattr(CellFolder, "has_result", property(seen_late))
    monkeypatch.setattr(attempts, "LOOK_EVERY_S", 0.01)
    with as_host("b", clock_s=HOUR):
        assert attempts.run(cell, fail) == FINISHED
    assert len(looks) > 6
    assert content(cell) == before


def test_a_result_that_was_removed_long_ago_is_made_again(cell: CellFolder) -> None:
    with as_host("a"):
        attempts.run(cell, trained("a"))
    assert attempts.host_of(cell) == "a"
    cell.forget_result()
    settled = cell.path / SETTLED
    old = leases.server_time(cell.path) - attempts.SLOW_S - 10
    os.utime(settled, (old, old))
    with as_host("b"):
        assert attempts.run(cell, trained("b")) == FINISHED
    assert (cell.predictions("last") / "case.npz").read_text() == "b"


def test_attempts_that_nobody_goes_on_from_are_swept(cell: CellFolder) -> None:
    out = cell.path.parent.parent
    for name, age in {"old": 10 * 86400, "new": 0}.items():
        folder = CellFolder(out / f".try-{name}" / cell.key)
        folder.make()
        (folder.path / "claim").touch()
        written = leases.server_time(out) - age
        os.utime(folder.path / "claim", (written, written))
    held = leases.take(cell.path, ".try-current")
    current = CellFolder(out / ".try-current" / cell.key)
    current.make()
    attempts.sweep(out)
    assert held is not None and read_lease(cell.path) == held.lease
    assert sorted(folder.name for folder in out.glob(".try-*")) == [".try-current", ".try-new"]
