"""Draws that a gain needs with outer folds: by hand, against simulated boards, in words."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student

from bench.stats.fold_planning import (
    FoldComponents,
    FoldDesign,
    draws_needed_in_each_fold,
    expected_fold_components,
    fold_half_width,
    fold_planning_sentence,
    gain_detectable_with_folds,
    measured_fold_components,
)
from bench.stats.intervals import mean_square_of_folds
from bench.stats.planning import Components
from bench.stats.shared_variance import MethodTable, SharedVariance, share_variance
from bench.stats.verdicts import gains_over_references

PATIENTS = 30
FOLDS = np.arange(PATIENTS) % 5
K = 7
DESIGN = FoldDesign(PATIENTS, folds=5, methods=K)
# Of a difference, per patient: 6 patients a fold, so that a draw's effect counts 6 times.
SCALE = 2**0.5
TRUE = FoldComponents(between=0.08 * SCALE, within=(6 * 0.04**2 + 0.10**2) ** 0.5 * SCALE)


def share(tables: NDArray[np.float64], folds: NDArray[np.intp] = FOLDS) -> SharedVariance:
    return share_variance(
        [MethodTable(f"m{i}", table, folds=folds) for i, table in enumerate(tables)]
    )


def gains(shared: SharedVariance) -> NDArray[np.float64]:
    """The differences of all methods to the first."""
    tables = np.stack([method.table for method in shared.tables.values()])
    return np.asarray(tables[1:] - tables[0])


def board(random: np.random.Generator, s: int, gain: float = 0.0) -> SharedVariance:
    """7 methods with the components TRUE; m1 is better than the others by `gain`."""
    of_all = random.normal(0.7, 0.1, (PATIENTS, 1)) + random.normal(0, 0.1, (5, s))[FOLDS]
    patients = random.normal(0, 0.08, (K, PATIENTS, 1))
    draws = random.normal(0, 0.04, (K, 5, s))[:, FOLDS]
    tables = of_all + patients + draws + random.normal(0, 0.10, (K, PATIENTS, s))
    tables[1] += gain
    return share(tables)


def test_components_by_hand() -> None:
    """Two folds of one patient: half the squared difference of their means, and that of draws."""
    difference = np.array([[0.1, 0.3], [0.6, 0.8]])
    of_folds = 2 * ((0.2 - 0.45) ** 2 + (0.7 - 0.45) ** 2)  # s sum (mean - whole)^2 / (F - 1)
    of_draws = (0.02 + 0.02) / 2
    measured = measured_fold_components(difference[None], np.array([0, 1]))
    assert measured is not None and measured.within is not None
    assert measured.between**2 == pytest.approx((of_folds - of_draws) / 2)
    assert measured.within**2 == pytest.approx(of_draws)


def test_half_width_now_is_that_of_the_mean_square_of_gains() -> None:
    """Where draws vary more than folds do, too: both parts add up to what is measured."""
    random = np.random.default_rng(3)
    for shared in (share(random.normal(0.7, 0.1, (K, PATIENTS, 3))), board(random, 3)):
        differences = gains(shared)
        measured = measured_fold_components(differences, FOLDS)
        assert measured is not None
        mean_square = float(mean_square_of_folds(differences, FOLDS).mean())
        error = (mean_square / (PATIENTS * 3)) ** 0.5
        width = fold_half_width(measured, 3, DESIGN)
        assert width == pytest.approx(student.ppf(1 - 0.05 / 12, 8) * error)


def test_freedom_is_that_of_gains() -> None:
    assert DESIGN.freedom == 8  # 4 + 5 - 1
    assert FoldDesign(PATIENTS, folds=5, methods=3).freedom == 4
    assert FoldDesign(PATIENTS, folds=2, methods=4).freedom == 3  # those of the pool
    tables = np.random.default_rng(0).normal(size=(K, PATIENTS, 2))
    assert share(tables).difference("m1", "m0").freedom == DESIGN.freedom


def test_more_draws_help_the_part_within_folds_alone() -> None:
    wide = fold_half_width(FoldComponents(0.0, 0.2), 1, DESIGN)
    assert fold_half_width(FoldComponents(0.0, 0.2), 4, DESIGN) == pytest.approx(wide / 2)
    assert fold_half_width(FoldComponents(0.2, 0.0), 1, DESIGN) == pytest.approx(wide)
    assert fold_half_width(FoldComponents(0.2, 0.0), 4, DESIGN) == pytest.approx(wide)


def test_one_draw_does_not_part_the_components() -> None:
    measured = measured_fold_components(gains(board(np.random.default_rng(1), 1)), FOLDS)
    assert measured is not None and measured.within is None
    sentence = fold_planning_sentence(measured, 1, DESIGN, "repeat")
    assert sentence.endswith("; one repeat in each fold does not tell how much more would help")


def test_components_need_two_methods_and_folds() -> None:
    tables = np.random.default_rng(2).normal(size=(2, 6, 2))
    assert measured_fold_components(tables[:0], np.arange(6) % 2) is None
    assert measured_fold_components(tables, np.zeros(6, np.intp)) is None


def test_components_before_a_run_are_those_without_folds() -> None:
    expected = expected_fold_components(Components(0.04, 0.08, 0.10), PATIENTS, folds=5)
    assert expected.between * SCALE == pytest.approx(TRUE.between)
    assert expected.within is not None and TRUE.within is not None
    assert expected.within * SCALE == pytest.approx(TRUE.within)


def test_components_are_recovered_from_simulated_boards() -> None:
    random = np.random.default_rng(21)
    found = []
    for _ in range(200):
        measured = measured_fold_components(gains(board(random, 3)), FOLDS)
        assert measured is not None and measured.within is not None
        found.append([measured.between, measured.within])
    mean = (np.array(found) ** 2).mean(0) ** 0.5
    assert mean == pytest.approx([TRUE.between, TRUE.within], rel=0.05)


def test_the_draws_needed_give_the_power_that_they_promise() -> None:
    """80% of 300 simulated boards give the better method its verdict, within 3 standard errors."""
    gain = gain_detectable_with_folds(TRUE, 3, DESIGN)
    assert draws_needed_in_each_fold(TRUE, gain, DESIGN) == 3
    random = np.random.default_rng(22)
    references = {f"m{i}": "m0" for i in range(1, K)}
    found = {3: 0, 1: 0}
    for draws in found:
        for _ in range(300):
            gains = gains_over_references(board(random, draws, gain), references, True)
            found[draws] += gains["m1"].verdict == "better"
    print(f"\n{found} of 300 boards")
    assert 0.73 <= found[3] / 300 <= 0.87
    assert found[1] / 300 < 0.60


def test_sentences() -> None:
    assert fold_planning_sentence(TRUE, 2, DESIGN) == (
        "half-width now 0.11; a gain of 0.05 cannot be resolved by more draws alone: more patients "
        "are needed; a gain of 0.10 needs about 14 draws in each fold"
    )
    tight = FoldComponents(between=0.02, within=0.05)
    assert fold_planning_sentence(tight, 1, DESIGN, "repeat", gains=[0.05]) == (
        "half-width now 0.034; a gain of 0.05 needs about 1 repeat in each fold"
    )
    far = FoldComponents(between=0.04, within=0.6)
    assert fold_planning_sentence(far, 2, DESIGN, gains=[0.05]).endswith(
        "; a gain of 0.05 cannot be resolved with 30 draws in each fold"
    )
    pair = FoldDesign(PATIENTS, folds=2, methods=3)
    assert fold_planning_sentence(TRUE, 2, pair).endswith(
        "; 2 folds allow no verdict on fewer than 7 methods, however many draws"
    )
