"""`outer_folds`: each patient is tested once, from the plan to the page and `verify`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.costs.request import DryRunRequest
from bench.diff.compare import compare
from bench.diff.read import read
from bench.dry_run import forecast
from bench.errors import BenchError
from bench.planning.plan_file import read_plan
from bench.planning.split import Split, read_kept
from bench.planning.suite import Suite
from bench.scoring.tables import Scores, read_scores
from bench.status import read_status
from bench.store import Store
from tests.support.tiny_bench import mismatches, plan, planned, report, run, toy_suite

FOLDS = 5


def folded_suite(**changes: Any) -> Suite:
    return toy_suite(**{"outer_folds": FOLDS, "methods": ["threshold", "shifted"], **changes})


def kept_splits(store: Store) -> list[Split]:
    files = sorted((store.out / "splits").glob("*.json"))
    return [read_kept(file) for file in files]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("folds") / "toy")
    assert run(folded_suite(), store, workers=2).failed == 0
    return store


def test_each_patient_is_tested_once_and_never_trained_on(finished: Store) -> None:
    splits = kept_splits(finished)
    assert len(splits) == FOLDS
    tested: Counter[str] = Counter()
    for fold, split in enumerate(splits):
        patients = {split.groups[case] for case in split.test}
        tested.update(patients)
        assert sorted(split.orders) == [fold, FOLDS + fold]  # the draws of this fold alone
        for order in split.orders.values():
            assert len(order) == 8
            assert not patients & set(order)
    assert tested == {f"p{number}": 1 for number in range(10)}


def test_a_cell_trains_on_patients_of_other_folds(finished: Store) -> None:
    splits = kept_splits(finished)
    for cell in planned(finished):
        split = splits[cell.subset % FOLDS]
        job = finished.cell(cell.key).expect_job()
        assert job.patients == list(split.labelled(cell.subset, cell.labelled))
        scores = read_scores(finished.cell(cell.key).scores("last"), "segmentation")
        assert isinstance(scores, Scores)
        assert set(scores.patients.names) == {split.groups[case] for case in split.test}


def test_a_row_holds_every_patient(finished: Store) -> None:
    board, page = report(finished)
    rows = [row for row in board.rows if row.metric == "dice"]
    assert {(row.n_groups, row.n_cases) for row in rows} == {(10, 16)}  # with a square: 16 of 20
    assert {row.n_subsets for row in rows} == {2 * FOLDS}
    assert all(row.interval == "two-way" and row.lo is not None for row in rows)
    [gain] = [gain for gain in board.gains if gain.metric == "dice" and gain.fraction < 1]
    assert gain.verdict is not None
    assert gain.subsets == list(range(2 * FOLDS))
    points = {point.subset for point in board.points if point.metric == "dice"}
    assert points == set(range(2 * FOLDS))
    facts = board.datasets["tiny"]
    assert (facts.train_groups, facts.test_groups, facts.test_cases) == (8, 10, 20)
    assert "in one of 5 folds over all cases" in board.protocol["Test"]
    low, full = sorted(board.planning, key=lambda note: note.labelled)
    assert low.text.startswith("2 draws in each of 5 folds: half-width now 0.")
    assert full.text.startswith("2 repeats in each of 5 folds: half-width now 0.")
    assert page.exists()


def test_diff_knows_the_fold_of_each_patient(finished: Store) -> None:
    report(finished)
    side = read(finished.out)
    assert len(side.folds) == 4  # rows: two methods at two budgets
    for fold_of in side.folds.values():
        assert set(fold_of) == {f"p{number}" for number in range(10)}
        assert Counter(fold_of.values()) == dict.fromkeys(range(FOLDS), 2)
    assert compare(side, side).changed == []


def test_verify_finds_no_difference(finished: Store) -> None:
    report(finished)
    assert mismatches(finished, deep=True) == []


def test_verify_names_a_changed_split_of_a_fold(finished: Store) -> None:
    report(finished)
    file = finished.out / "splits" / "tiny-fold2.json"
    kept = file.read_bytes()
    content = json.loads(kept)
    content["orders"]["1"].reverse()
    file.write_text(json.dumps(content))
    try:
        assert any("tiny-fold2" in text for text in mismatches(finished))
    finally:
        file.write_bytes(kept)


def test_a_draw_counts_once_all_of_its_folds_have_ended(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    suite = folded_suite(fractions=[0.3], methods=["threshold"])
    run(suite, store, only=["subset=0,subset=1,subset=2,subset=3,subset=4,subset=5"])
    board, _ = report(store)
    [row] = [row for row in board.rows if row.metric == "dice"]
    assert (row.status, row.n_groups, row.n_subsets) == ("missing", 10, FOLDS)
    assert mismatches(store) == []


def test_a_dry_run_and_status_name_the_cells_of_all_folds(finished: Store) -> None:
    bench = plan(folded_suite(), finished)
    text = forecast(bench, DryRunRequest(listed=True))
    assert "subset 9: done" in text
    assert "nothing to do" in text
    assert read_status(finished).done == 2 * 2 * 2 * FOLDS


def test_folds_of_unequal_size_label_as_many_patients(tmp_path: Path) -> None:
    """10 patients in 4 folds: 7 or 8 train, so that all labels are those of 7."""
    store = Store(tmp_path / "toy")
    bench = plan(folded_suite(outer_folds=4, subsets=1), store)
    assert {cell.labelled for cell in bench.cells} == {2, 7}
    assert len({cell.row for cell in bench.cells}) == 4
    assert read_plan(store.out).datasets["tiny"].train_groups == 7


def test_other_splits_have_the_keys_that_they_had(tmp_path: Path) -> None:
    plain = plan(toy_suite(), Store(tmp_path / "plain"))
    folded = plan(folded_suite(), Store(tmp_path / "folded"))
    assert not {cell.key for cell in plain.cells} & {cell.key for cell in folded.cells}
    assert [cell.subset for cell in plain.cells if cell.fraction < 1] == [0, 1]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"tuning": {"trials": 2}}, "tuning"),
        ({"select": {"by": "validation", "every": 1}}, "select"),
        ({"split": "split.json"}, "split"),
        ({"test_cases": 2}, "test_cases"),
        ({"draw": "list"}, "draw: list"),
        ({"tasks": ["segmentation", "classification"]}, "tasks: [classification]"),
    ],
)
def test_what_does_not_go_with_outer_folds_is_refused(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match="'outer_folds' does not go with") as caught:
        folded_suite(**changes)
    assert f"'{name}'" in str(caught.value)


def test_makers_of_images_are_refused(tmp_path: Path) -> None:
    suite = folded_suite(methods=["threshold", "copier"])
    with pytest.raises(BenchError, match="'outer_folds' does not go with copier"):
        plan(suite, Store(tmp_path / "toy"))


def test_more_folds_than_pairs_of_patients_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="give at most 5"):
        plan(folded_suite(outer_folds=6), Store(tmp_path / "toy"))
