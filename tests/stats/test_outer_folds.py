"""Outer folds in intervals (R4.1c): closed forms, and coverage over simulated boards.

Coverage of gains is 93 to 98% with 30 patients in 5 folds; the seeds are fixed.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.stats.intervals import (
    MeanSquares,
    combine_mean_squares,
    mean_interval,
    mean_squares,
    mean_with_interval_if_known,
    variances_of_means,
)
from bench.stats.shared_variance import MethodTable, pooled_mean_square, share_variance

PATIENTS = 30
FOLDS = np.arange(PATIENTS) % 5
BOARDS = 500  # of 6 gains each
OF_PATIENT, OF_DRAW, REST = 0.13, 0.09, 0.17  # those of a difference of methods in the demo
MILD = (0.04, 0.02, 0.06)


def simulated(
    random: np.random.Generator,
    k: int,
    s: int,
    folds: NDArray[np.intp] = FOLDS,
    own: tuple[float, float, float] = (OF_PATIENT, OF_DRAW, REST),
) -> NDArray[np.float64]:
    """Scores of k equal methods (k x n x s); each fold has s draws of its own."""
    n = len(folds)
    of_patient, of_draw, rest = own
    common_draw = 0.16 * random.standard_normal((folds.max() + 1, s))[folds]
    common = 0.10 * random.standard_normal((n, 1)) + common_draw
    precision = (3 / random.chisquare(3, (k, 1, 1))) ** 0.5 / 3**0.5
    draws = of_draw * precision * random.standard_normal((k, folds.max() + 1, s))
    patients = of_patient * random.standard_normal((k, n, 1))
    return common + patients + draws[:, folds] + rest * random.standard_normal((k, n, s))


def test_one_draw_varies_as_the_means_of_folds() -> None:
    """F folds of m patients: the variance over fold means / F, with F - 1 degrees of freedom."""
    table = np.random.default_rng(5).normal(0.7, 0.2, (PATIENTS, 1))
    variance, freedom = variances_of_means(table, FOLDS)
    of_folds = [table[fold == FOLDS].mean() for fold in range(5)]
    assert variance == pytest.approx(np.var(of_folds, ddof=1) / 5)
    assert freedom == 4


def test_mean_squares_are_those_within_folds() -> None:
    table = np.random.default_rng(6).normal(0.7, 0.2, (PATIENTS, 3))
    squares = mean_squares(table, FOLDS)
    each = [mean_squares(table[fold == FOLDS]) for fold in range(5)]
    for value, of_folds in zip(squares, zip(*each, strict=True), strict=True):
        assert value == pytest.approx(np.mean(of_folds))  # folds of one size weigh the same


def test_an_effect_of_each_fold_is_no_difference_between_draws() -> None:
    """Draws of one fold differ from those of another by their patients too."""
    shifts = np.array([0.0, 1.0, 2.0, 3.0, 4.0])[FOLDS]
    table = np.random.default_rng(7).normal(0, 1, (PATIENTS, 2))
    moved = mean_squares(table + shifts[:, None], FOLDS)
    assert np.allclose(moved, mean_squares(table, FOLDS))


def test_the_variance_is_that_of_its_mean_squares() -> None:
    table = np.random.default_rng(8).normal(0.7, 0.2, (PATIENTS, 2))
    table += np.random.default_rng(9).normal(0, 0.5, (5, 2))[FOLDS]
    case, subset, residual = mean_squares(table, FOLDS)
    variance, _ = variances_of_means(table, FOLDS)
    assert variance == pytest.approx((case + subset - residual) / (PATIENTS * 2))
    squares = MeanSquares(case, subset, residual)
    _, freedom = combine_mean_squares(squares, PATIENTS, 2, 5, folds=5)
    spread = case**2 / 25 + subset**2 / 5 + residual**2 / 25
    assert freedom == pytest.approx((case + subset - residual) ** 2 / spread)


def test_one_fold_is_none() -> None:
    table = np.random.default_rng(10).normal(0.7, 0.2, (8, 3))
    assert variances_of_means(table, np.zeros(8, int)) == variances_of_means(table)


def test_folds_of_one_patient_each_vary_as_patients() -> None:
    table = np.random.default_rng(11).normal(0.7, 0.2, (6, 2))
    variance, freedom = variances_of_means(table, np.arange(6))
    assert variance == pytest.approx(table.mean(1).var(ddof=1) / 6)
    assert freedom == 5


def test_the_pool_is_the_mean_over_pairs_of_their_mean_squares() -> None:
    tables = np.random.default_rng(12).normal(0.7, 0.2, (4, PATIENTS, 2))
    first, second = np.triu_indices(4, 1)
    of_pairs = mean_squares(tables[first] - tables[second], FOLDS).subset
    assert pooled_mean_square(tables, FOLDS) == pytest.approx(of_pairs.mean())


def test_a_mean_of_five_folds_with_one_draw_has_an_interval() -> None:
    table = np.random.default_rng(13).normal(0.7, 0.2, (PATIENTS, 1))
    assert mean_with_interval_if_known(table, FOLDS).kind == "two-way"
    assert mean_with_interval_if_known(table).lo is None


def test_methods_of_other_folds_do_not_share_a_variance() -> None:
    table = np.zeros((4, 2))
    others = MethodTable("b", table, folds=np.array([0, 0, 1, 1]))
    with pytest.raises(BenchError, match="same patients in each fold"):
        share_variance([MethodTable("a", table, folds=np.array([0, 1, 0, 1])), others])


@pytest.mark.parametrize("own", [(OF_PATIENT, OF_DRAW, REST), MILD], ids=["demo", "mild"])
@pytest.mark.parametrize("s", [1, 2, 3])
def test_gains_are_covered(s: int, own: tuple[float, float, float]) -> None:
    random = np.random.default_rng(1500 + s)
    k = 7
    covered = []
    for _ in range(BOARDS):
        tables = simulated(random, k, s, own=own)
        methods = [MethodTable(f"m{i}", table, folds=FOLDS) for i, table in enumerate(tables)]
        shared = share_variance(methods)
        for difference in shared.differences([(f"m{i}", "m0") for i in range(1, k)]):
            assert difference.tested
            lo, hi = difference.interval() or (0.0, 0.0)
            covered.append(lo <= 0 <= hi)
    print(f"\n{s} draws: {np.mean(covered):.3f} of gains covered")
    assert 0.93 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize("s", [1, 2, 3])
def test_means_are_covered_with_folds_of_unequal_size(s: int) -> None:
    random = np.random.default_rng(1510 + s)
    folds = np.arange(28) % 5  # of 6, 6, 6, 5 and 5 patients
    covered = []
    for _ in range(BOARDS):
        interval = mean_interval(simulated(random, 1, s, folds)[0], folds)
        assert interval.lo is not None and interval.hi is not None
        covered.append(interval.lo <= 0 <= interval.hi)
    print(f"\n{s} draws: {np.mean(covered):.3f} of means covered")
    assert 0.93 <= np.mean(covered) <= 0.98
