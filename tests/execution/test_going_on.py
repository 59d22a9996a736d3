"""A worker that is killed in the middle of its training is started again and goes on."""

import os
import subprocess
from pathlib import Path

import pytest

from bench.cell_folder import CellFolder
from bench.store import Store
from tests.support.tiny_bench import planned, run, toy_suite


def trained(folder: Path, damage: bool, is_killed: bool) -> CellFolder:
    """The only cell of a suite that keeps a state after every step."""
    store = Store(folder / "toy")
    if not is_killed:
        store.open()
        (store.out / f"launched {damage}").touch()
    method = {"method": "killed_once", "config": {"damage": damage, "batch_size": 2}}
    suite = toy_suite(
        methods=[method],
        reference="killed_once",
        fractions=[1.0],
        subsets=1,
        steps=12,
        backbone={"name": "unet", "width": 2},
        checkpoint_s=0,
    )
    progress = run(suite, store)
    assert (progress.done, progress.failed) == (1, 0)
    [cell] = planned(store)
    return store.cell(cell.key)


@pytest.mark.parametrize("damage", [False, True])
def test_a_killed_cell_ends_with_the_same_bytes(tmp_path: Path, damage: bool) -> None:
    """A cell of an hour started over; a damaged state is noticed, and the cell starts over."""
    undisturbed = trained(tmp_path / "a", damage, is_killed=False)
    killed = trained(tmp_path / "b", damage, is_killed=True)
    assert killed.model.read_bytes() == undisturbed.model.read_bytes()
    assert killed.read_history() == undisturbed.read_history()
    assert [step for step, _ in killed.read_history()["loss"]] == [0, 10, 11]
    results = [undisturbed.read_result(), killed.read_result()]
    launches = [result.cost.launches for result in results if result and result.cost]
    assert launches == ([1, 1] if damage else [1, 2])
    text = killed.log.read_text()
    assert ("launch 2 goes on after step 5" in text) == (not damage)
    assert (".training.snapshot is damaged: the training starts over" in text) == damage
    assert not killed.snapshot.exists()


def test_what_killed_launches_left_is_swept(tmp_path: Path) -> None:
    """A full disk or a kill left .NAME.PID for ever."""
    store = Store(tmp_path / "toy")
    suite = toy_suite(fractions=[1.0], subsets=1)
    run(suite, store)
    [cell] = planned(store)
    ended = subprocess.Popen(["true"])
    ended.wait()
    folders = [store.out, store.out / "splits", store.cell(cell.key).path]
    left = [folder / f".a.json.{ended.pid}" for folder in folders]
    left.append(store.out / f".running.{ended.pid}")
    (store.out / "studies").mkdir()
    left.append(store.out / "studies" / f".study.db.{ended.pid}-journal")
    of_this_one = store.out / f".b.json.{os.getpid()}"
    for file in [*left, of_this_one]:
        file.touch()
    run(suite, store)
    assert [file for file in left if file.exists()] == []
    assert of_this_one.exists()
    of_this_one.unlink()
    assert list(store.out.glob(".*")) == []
