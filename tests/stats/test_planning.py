"""Draws that a gain needs: by hand, against simulated power, in words."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student

from bench.stats.planning import (
    OF_SHORT_RUNS,
    Components,
    DrawsNeeded,
    detectable_gain,
    draws_needed,
    half_width,
    measured_components,
    planning_sentence,
)
from bench.stats.shared_variance import MethodTable, SharedVariance, share_variance

ROOT_2 = 2**0.5
# Of differences, in the settings "demo" and "mild" of the simulations.
DEMO = Components(draw=0.09 * ROOT_2, patient=0.13 * ROOT_2, rest=0.17 * ROOT_2)
MILD = Components(draw=0.02 * ROOT_2, patient=0.04 * ROOT_2, rest=0.06 * ROOT_2)


def board(seed: int, k: int, n: int, s: int) -> SharedVariance:
    """k equal methods with the components of MILD, and effects that all have in common."""
    random = np.random.default_rng(seed)
    tables = random.normal(0.7, 0.1, (n, 1)) + random.normal(0, 0.1, (1, s))
    tables = tables + random.normal(0, 0.02, (k, 1, s)) + random.normal(0, 0.04, (k, n, 1))
    tables = tables + random.normal(0, 0.06, (k, n, s))
    return share_variance([MethodTable(f"m{i}", table) for i, table in enumerate(tables)])


def gains(shared: SharedVariance) -> NDArray[np.float64]:
    """The differences of all methods to the first."""
    tables = np.stack([method.table for method in shared.tables.values()])
    return np.asarray(tables[1:] - tables[0])


def test_half_width_by_hand() -> None:
    """One component alone leaves one mean square, and its degrees of freedom."""
    only_draws = Components(draw=0.1, patient=0.0, rest=0.0)
    assert half_width(only_draws, 30, 3, methods=7) == pytest.approx(
        student.ppf(0.975, 6) * 0.1 / 3**0.5
    )
    assert half_width(only_draws, 30, 3, methods=2) == pytest.approx(
        student.ppf(0.975, 2) * 0.1 / 3**0.5
    )
    only_patients = Components(draw=0.0, patient=0.1, rest=0.0)
    assert half_width(only_patients, 30, 3, methods=7) == pytest.approx(
        student.ppf(0.975, 29) * 0.1 / 30**0.5
    )
    assert half_width(only_patients, 30, 3, methods=7, comparisons=6) == pytest.approx(
        student.ppf(1 - 0.05 / 12, 29) * 0.1 / 30**0.5
    )


def test_half_width_adds_the_three_variances() -> None:
    error = (0.1**2 / 3 + 0.2**2 / 30 + 0.3**2 / 90) ** 0.5
    case, subset, residual = 0.09 + 3 * 0.04, 0.09 + 30 * 0.01, 0.09
    both = case + subset - residual
    freedom = both**2 / (case**2 / 29 + subset**2 / 6 + residual**2 / 58)
    width = half_width(Components(0.1, 0.2, 0.3), 30, 3, methods=7)
    assert width == pytest.approx(student.ppf(0.975, freedom) * error)


@pytest.mark.parametrize(("patients", "draws"), [(1, 3), (30, 1)])
def test_one_patient_or_draw_has_no_half_width(patients: int, draws: int) -> None:
    assert half_width(MILD, patients, draws, methods=7) is None


def test_components_are_recovered() -> None:
    parts = [measured_components(gains(board(seed, 10, 40, 5))) for seed in range(60)]
    found = np.array([[part.draw, part.patient, part.rest] for part in parts if part is not None])
    mean = (found**2).mean(0) ** 0.5
    assert mean == pytest.approx([MILD.draw, MILD.patient, MILD.rest], rel=0.05)


def test_components_need_two_methods_patients_and_draws() -> None:
    assert measured_components(gains(board(0, 1, 9, 3))) is None
    assert measured_components(gains(board(0, 4, 1, 3))) is None
    assert measured_components(gains(board(0, 4, 9, 1))) is None


def test_components_without_variation_are_zero() -> None:
    differences = np.stack([np.full((4, 3), i / 8) for i in range(1, 4)])
    assert measured_components(differences) == Components(0, 0, 0)


def test_components_are_those_of_gains_where_the_reference_varies_most() -> None:
    """Of all pairs of 10 methods, 36 of 45 would know nothing of what the reference does."""
    random = np.random.default_rng(5)
    found = []
    for _ in range(60):
        tables = random.normal(0.7, 0.02, (10, 40, 5))
        tables[0] += random.normal(0, 0.1, 5)
        measured = measured_components(tables[1:] - tables[0])
        assert measured is not None
        found.append(measured.draw**2)
    assert np.mean(found) == pytest.approx(0.1**2, rel=0.2)


@pytest.mark.parametrize(
    ("components", "gain", "patients", "fewest", "most"),
    [
        (MILD, 0.05, 30, 5, 8),
        (MILD, 0.05, 100, 3, 5),
        (MILD, 0.1, 30, 2, 2),
        (MILD, 0.1, 100, 2, 2),
        (DEMO, 0.1, 100, 10, 20),
    ],
)
def test_draws_needed_agree_with_simulated_power(
    components: Components, gain: float, patients: int, fewest: int, most: int
) -> None:
    """80% power was simulated with 2, 3, 5, 8, 10, 15, 20 and 30 draws; the truth lies between."""
    needed = draws_needed(components, gain, patients, methods=7)
    assert needed.draws is not None and fewest <= needed.draws <= most


def test_patients_limit() -> None:
    assert draws_needed(DEMO, 0.10, 30, methods=7) == DrawsNeeded(0.10, None, True)
    assert draws_needed(DEMO, 0.05, 30, methods=7) == DrawsNeeded(0.05, None, False)


def test_small_boards_need_three_draws() -> None:
    assert draws_needed(MILD, 1.0, 100, methods=7).draws == 2
    assert draws_needed(MILD, 1.0, 100, methods=6).draws == 3


def test_the_adjusted_test_needs_more_draws() -> None:
    alone = draws_needed(MILD, 0.05, 30, methods=7).draws
    adjusted = draws_needed(MILD, 0.05, 30, methods=7, comparisons=6).draws
    assert alone is not None and adjusted is not None and alone < adjusted


def test_the_number_of_draws_is_the_smallest() -> None:
    needed = draws_needed(MILD, 0.05, 30, methods=7)
    assert needed.draws is not None
    assert detectable_gain(MILD, 30, needed.draws, methods=7) <= 0.05
    assert detectable_gain(MILD, 30, needed.draws - 1, methods=7) > 0.05
    assert detectable_gain(MILD, 1, 5, methods=7) == np.inf


def test_sentence() -> None:
    assert planning_sentence(MILD, 30, 2, methods=14) == (
        "half-width now 0.059; a gain of 0.05 needs about 6 draws; "
        "a gain of 0.10 needs about 2 draws"
    )
    assert planning_sentence(DEMO, 30, 2, methods=14) == (
        "half-width now 0.24; a gain of 0.05 cannot be resolved with 30 draws, "
        "however many patients there are; a gain of 0.10 cannot be resolved with 30 draws: "
        "more patients are needed"
    )
    assert planning_sentence(MILD, 30, 1, methods=14, gains=[0.1]) == (
        "a gain of 0.10 needs about 2 draws"
    )


def test_default_components_are_those_of_the_demo() -> None:
    default = OF_SHORT_RUNS.components
    assert (default.draw, default.patient, default.rest) == (0.125, 0.180, 0.227)
