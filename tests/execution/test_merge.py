"""Folders of one plan are united: each cell once, nothing where two of them disagree."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.execution.merge import merge
from bench.store import Store
from tests.support.sealed import edit_sealed, finish_again
from tests.support.tiny_bench import mismatches, plan, planned, report, run, toy_suite


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Store, Store]:
    """One plan run whole, and in two parts that share the cells at all labels."""
    folder = tmp_path_factory.mktemp("sites")
    whole, first, second = (Store(folder / name / "toy") for name in ("whole", "a", "b"))
    run(toy_suite(), whole)
    for store, fraction in ((first, "1.0"), (second, "0.3")):
        shutil.copytree(whole.out.parent, store.out.parent)
        for cell in planned(store):
            is_kept = str(cell.fraction) == fraction or (cell.subset == 0 and store is first)
            if not is_kept:
                shutil.rmtree(store.cell(cell.key).path)
    return whole, first, second


def test_parts_of_a_plan_give_the_board_of_the_whole(
    sites: tuple[Store, Store, Store], tmp_path: Path
) -> None:
    whole, first, second = sites
    store = Store(tmp_path / "toy")
    shutil.copytree(whole.cache, store.cache)
    assert merge([first.out, second.out], store.out) == 4
    boards = [report(one, "csv")[0] for one in (whole, store)]
    assert [row.mean for row in boards[0].rows] == [row.mean for row in boards[1].rows]
    assert mismatches(store) == []
    assert not (store.cell(planned(store)[0].key).path / "settled").exists()


def test_results_that_differ_are_named_and_nothing_is_copied(
    sites: tuple[Store, Store, Store], tmp_path: Path
) -> None:
    _, first, _ = sites
    other = Store(tmp_path / "other" / "toy")
    shutil.copytree(first.out, other.out)
    [key, *_] = [key for key in other.cell_keys() if other.state(key) == "done"]
    folder = other.cell(key)
    [case, *_] = folder.predictions("last").iterdir()
    case.write_bytes(b"other")
    finish_again(folder)
    with pytest.raises(BenchError, match=rf"1 cells \({key}\) have different results"):
        merge([first.out, other.out], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_finished_cell_goes_before_a_failed_one(
    sites: tuple[Store, Store, Store], tmp_path: Path
) -> None:
    _, first, _ = sites
    failed = Store(tmp_path / "failed" / "toy")
    shutil.copytree(first.out, failed.out)
    [key, *_] = [key for key in failed.cell_keys() if failed.state(key) == "done"]
    failed.cell(key).forget_result()
    failed.cell(key).write_failure("error", "x")
    merge([failed.out, first.out], tmp_path / "merged")
    assert Store(tmp_path / "merged").state(key) == "done"


def test_bad_input_of_merge(sites: tuple[Store, Store, Store], tmp_path: Path) -> None:
    _, first, second = sites
    with pytest.raises(BenchError, match="is not empty"):
        merge([first.out, second.out], second.out)
    other = Store(tmp_path / "toy")
    plan(toy_suite(steps=4), other)
    with pytest.raises(BenchError, match=r"8 cells .* in the plan of one of them alone"):
        merge([first.out, other.out], tmp_path / "merged")


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("nsd_tolerance", lambda plan: plan["suite"].update(nsd_tolerance=9.0)),
        ("the name", lambda plan: plan["suite"].update(name="other")),
        ("labels of rows", lambda plan: plan["cells"][0].update(variant="x")),
        ("labels of rows", lambda plan: plan["cells"][0].update(fraction=0.9)),
    ],
)
def test_plans_that_score_or_label_otherwise(
    sites: tuple[Store, Store, Store], tmp_path: Path, place: str, change: Any
) -> None:
    """The plan of the first folder counted, whatever the second was called or scored by."""
    _, first, second = sites
    other = Store(tmp_path / "toy")
    shutil.copytree(second.out, other.out)
    edit_sealed(other.out / "plan.json", change)
    with pytest.raises(BenchError, match=f"{place} is .* in one and .* in the other"):
        merge([first.out, other.out], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
