"""What intervals and ranks promise, over simulated tables: coverage, false separation, ties."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import stdtrit

from bench.stats.intervals import mean_interval, p_values, tie_groups, variances_of_means
from bench.stats.jackknife import auroc_pseudo_values
from bench.stats.label_efficiency import Equivalence, label_equivalence
from bench.stats.ranking import rank_distributions

# Standard deviations of patients, of subsets and of patient x subset; the frames of a patient
# vary by FRAME about these.
SETTINGS = {
    "case-dominated": (0.08, 0.01, 0.02),
    "subset-dominated": (0.02, 0.04, 0.02),
    "residual-dominated": (0.04, 0.03, 0.06),
    "mixed": (0.06, 0.02, 0.05),
}
FRAMES, FRAME = 4, 0.03
REPEATS = 3000  # the standard error of a coverage of 95% is 0.4%


def frames(
    seed: int, setting: str, patients: int, subsets: int, repeats: int = REPEATS
) -> NDArray[np.float64]:
    """Scores around a true mean of 0: repeats x patients x FRAMES x subsets."""
    random = np.random.default_rng(seed)
    case, subset, residual = SETTINGS[setting]
    return (
        random.normal(0, case, (repeats, patients, 1, 1))
        + random.normal(0, subset, (repeats, 1, 1, subsets))
        + random.normal(0, residual, (repeats, patients, 1, subsets))
        + random.normal(0, FRAME, (repeats, patients, FRAMES, subsets))
    )


def coverage(tables: NDArray[np.float64]) -> float:
    """Share of tables (repeats x n x s) whose 95% interval holds the true mean of 0."""
    variance, freedom = variances_of_means(tables)
    return float(
        np.mean(np.abs(tables.mean((1, 2))) <= stdtrit(freedom, 0.975) * np.sqrt(variance))
    )


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(("patients", "subsets"), [(16, 3), (16, 5), (30, 4), (60, 3), (60, 5)])
def test_coverage_with_frames_averaged_inside_patients(
    setting: str, patients: int, subsets: int
) -> None:
    assert 0.92 <= coverage(frames(1, setting, patients, subsets).mean(2)) <= 0.97


@pytest.mark.parametrize(("setting", "most"), [("case-dominated", 0.8), ("mixed", 0.9)])
def test_frames_taken_as_units_cover_too_little(setting: str, most: float) -> None:
    scores = frames(2, setting, patients=16, subsets=3)
    as_units = scores.reshape(REPEATS, 16 * FRAMES, 3)
    assert coverage(as_units) < most
    assert coverage(scores.mean(2)) > 0.92


@pytest.mark.parametrize(("patients", "subsets"), [(16, 3), (100, 3), (16, 5), (16, 10)])
def test_without_effects_of_patients_and_subsets_the_interval_is_too_wide_never_too_narrow(
    patients: int, subsets: int
) -> None:
    """Above 97%: the larger of two mean squares with few df overstates a pure residual."""
    tables = np.random.default_rng(3).normal(0, 0.05, (REPEATS, patients, subsets))
    assert coverage(tables) > 0.96


def test_one_interval_at_a_time_is_what_was_counted() -> None:
    tables = frames(4, "mixed", 16, 3, repeats=200).mean(2)
    intervals = [mean_interval(table) for table in tables]
    held = [
        one.lo is not None and one.hi is not None and one.lo <= 0 <= one.hi for one in intervals
    ]
    assert np.mean(held) == coverage(tables)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(("subsets", "most"), [(3, 0.08), (4, 0.07), (5, 0.07)])
def test_two_equal_methods_are_separated_about_as_often_as_stated(
    setting: str, subsets: int, most: float
) -> None:
    """100 patients; at most 7% from 4 subsets on, and 8% at 3, where intervals cover >= 92%."""
    tables = frames(5, setting, 100, subsets, repeats=2000).mean(2)
    assert 0.03 <= np.mean(p_values(tables) < 0.05) <= most


@pytest.mark.parametrize(("methods", "least"), [(2, 0.03), (5, 0.01)])
def test_rank_ranges_of_equal_methods_separate_no_more_often_than_stated(
    methods: int, least: float
) -> None:
    """Of five equal methods, any two: ranges are wider, since another may come in between."""
    tables = frames(6, "mixed", 60, 4, repeats=1000 * methods).mean(2).reshape(1000, methods, 60, 4)
    separated = 0
    for table in tables:
        scores = {f"m{i}": of_method for i, of_method in enumerate(table)}
        ranks = rank_distributions(scores, higher_is_better=True).values()
        largest_lo = max(rank.lo for rank in ranks)
        separated += largest_lo > min(rank.hi for rank in ranks)
    assert least <= separated / 1000 <= 0.07


def test_ranges_of_tied_methods_overlap_over_many_tables() -> None:
    """Also where a noisy best method ties with methods that clearly differ from each other."""
    random = np.random.default_rng(7)
    pairs = 0
    for _ in range(600):
        k, n, s = (int(random.integers(*limits)) for limits in ((2, 9), (2, 30), (1, 6)))
        noise = random.choice([0.002, 0.02, 0.1], (k, 1, 1))
        tables = random.normal(0, 0.06, (1, n, 1)) + noise * random.normal(0, 1, (k, n, s))
        tables += noise * random.normal(0, 0.5, (k, 1, s)) + 0.01 * random.normal(0, 1, (k, 1, 1))
        scores = {f"m{i}": table for i, table in enumerate(tables)}
        ranks = rank_distributions(scores, higher_is_better=True)
        groups = tie_groups(scores, list(ranks))
        for a, b in combinations(ranks, 2):
            if groups[a] == groups[b]:
                pairs += 1
                assert max(ranks[a].lo, ranks[b].lo) <= min(ranks[a].hi, ranks[b].hi)
    assert pairs > 2000


def test_coverage_of_the_auroc_interval() -> None:
    """60 patients with one image each, a third positive; the truth is Phi(1 / 2**0.5) = 0.76025."""
    random = np.random.default_rng(8)
    positive, patients = np.arange(60) < 20, [f"p{i:02}" for i in range(60)]
    scores = random.normal(0, 1, (1500, 60, 1)) + positive[:, None]
    tables = np.stack([auroc_pseudo_values(table, positive, patients) for table in scores])
    assert 0.92 <= coverage(tables - 0.76025) <= 0.97


def holds(equivalence: Equivalence, truth: float) -> bool:
    assert equivalence.lo is not None and equivalence.hi is not None
    above = equivalence.lo.side == "<" or equivalence.lo.labelled <= truth
    return above and (equivalence.hi.side == ">" or truth <= equivalence.hi.labelled)


def test_coverage_of_label_equivalence() -> None:
    """The reference gains 8 points per factor e of labels; the method is worth 23% of them."""
    random = np.random.default_rng(9)
    fractions = [0.05, 0.1, 0.2, 0.5, 1.0]
    means = 0.5 + 0.08 * np.log(np.array([*fractions, 0.23]) / 0.05)
    held = []
    for _ in range(600):
        own = (
            random.normal(0, 0.015, (6, 1, 4))
            + random.normal(0, 0.03, (6, 60, 1))
            + random.normal(0, 0.05, (6, 60, 4))
        )
        tables = means[:, None, None] + random.normal(0, 0.06, (1, 60, 1)) + own
        held.append(
            holds(label_equivalence(fractions, tables[:5], tables[5], higher_is_better=True), 0.23)
        )
    assert 0.92 <= np.mean(held) <= 0.975  # standard error 0.9%
