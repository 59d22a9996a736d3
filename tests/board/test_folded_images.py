"""Methods that take lesions out, with outer folds: each patient's image is judged once a draw."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.board.schema import Board, Row
from bench.board.scores.outer_folds import whole_draws
from bench.diff.compare import compare
from bench.diff.read import read
from bench.execution import judging
from bench.planning.filters import matching_cells
from bench.planning.plan_file import read_plan
from bench.planning.split import read_kept
from bench.store import Store
from tests.support.tiny_bench import PLUGINS, mismatches, plan, planned, report, run, toy_suite

FOLDS = 5
SUITE = toy_suite(
    outer_folds=FOLDS, fractions=[0.4], methods=["threshold", "eraser"], subsets=2, steps=1
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Board]:
    store = Store(tmp_path_factory.mktemp("folds") / "toy")
    assert run(SUITE, store, PLUGINS, device="cpu", workers=2).failed == 0
    return store, report(store)[0]


def row(board: Board, metric: str) -> Row:
    [found] = [each for each in board.rows if (each.method, each.metric) == ("eraser", metric)]
    return found


def test_draws_are_whole_where_every_fold_is_there() -> None:
    assert whole_draws([0, 1, 2, 3, 5], 3) == {0: range(3)}
    assert whole_draws([5, 3, 4], 3) == {1: range(3, 6)}
    assert whole_draws([2, 7], 1) == {2: range(2, 3), 7: range(7, 8)}


def test_each_fold_is_judged_by_a_model_that_never_saw_its_test_patients(
    done: tuple[Store, Board],
) -> None:
    store = done[0]
    whole = read_plan(store.out)
    splits = [read_kept(file) for file in sorted((store.out / "splits").glob("*.json"))]
    assert len(splits) == FOLDS
    judged = planned(store, method="eraser")
    assert len(judged) == 2 * FOLDS
    models = set()
    for cell in judged:
        split = splits[cell.subset % FOLDS]
        tested = {split.groups[case] for case in split.test}
        model, _ = judging._reference_model(store, whole, cell)
        assert model is not None
        trained = set(model.expect_job().patients)
        assert len(trained) == 8
        assert not trained & tested
        models.add(model.key)
    assert len(models) == FOLDS


def test_only_keeps_the_model_of_the_fold_alone(tmp_path: Path) -> None:
    cells = plan(SUITE, Store(tmp_path / "toy")).cells
    kept = matching_cells(cells, ["method=eraser", "subset=7"], "threshold", FOLDS)
    assert [(cell.method, cell.subset) for cell in kept] == [("threshold", 2), ("eraser", 7)]


@pytest.mark.parametrize("metric", ["healthiness", "healthiness_dice", "identity", "harmonic"])
def test_rows_of_images_hold_every_patient(done: tuple[Store, Board], metric: str) -> None:
    found = row(done[1], metric)
    assert (found.n_groups, found.n_cases, found.n_subsets) == (10, 20, 2 * FOLDS)
    assert found.interval == "two-way"
    assert found.lo is not None


def test_erasing_is_healthy_in_all_folds(done: tuple[Store, Board]) -> None:
    assert row(done[1], "healthiness").mean == pytest.approx(1)
    assert row(done[1], "healthiness_dice").mean == pytest.approx(0)


def test_augmented_segmenters_are_compared_over_folds(done: tuple[Store, Board]) -> None:
    board = done[1]
    own, plain = row(board, "augmented_dice"), row(board, "dice")
    assert own.mean == pytest.approx(plain.mean)
    assert (own.lo, own.hi) == pytest.approx((plain.lo, plain.hi))
    assert (own.n_groups, own.n_subsets) == (plain.n_groups, plain.n_subsets) == (10, 2 * FOLDS)
    gain, plain_gain = row(board, "augmented_gain"), row(board, "gain")
    assert gain.mean == pytest.approx(plain_gain.mean)
    assert gain.n_subsets == 2 * FOLDS


def test_verify_and_diff_know_the_folds(done: tuple[Store, Board]) -> None:
    store = done[0]
    assert mismatches(store, deep=True) == []
    side = read(store.out)
    assert compare(side, side).changed == []


def test_a_draw_of_images_counts_once_all_of_its_folds_have_ended(tmp_path: Path) -> None:
    store = Store(tmp_path / "toy")
    part = [f"subset={subset}" for subset in range(FOLDS + 2)]
    assert run(SUITE, store, PLUGINS, device="cpu", only=[",".join(part)], workers=2).failed == 0
    board, _ = report(store)
    found = row(board, "healthiness")
    assert (found.status, found.n_groups, found.n_subsets) == ("missing", 10, FOLDS)
    assert mismatches(store) == []
