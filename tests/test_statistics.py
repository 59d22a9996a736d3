"""Intervals, tests and ranks: by hand, by property, and by simulated coverage."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import t as student

from bench.statistics import holm, interval, p_value, ranks, standard_error


def simulated(
    seed: int, patients: int, subsets: int, case: float = 0.06, draw: float = 0.02, noise: float = 0.05
) -> NDArray[np.float64]:
    """Crossed random effects around zero."""
    random = np.random.default_rng(seed)
    return (
        random.normal(0, case, (patients, 1))
        + random.normal(0, draw, (1, subsets))
        + random.normal(0, noise, (patients, subsets))
    )


def test_one_subset_is_the_ordinary_t_interval() -> None:
    scores = np.array([[0.5], [0.7], [0.6], [0.8], [0.4], [0.9], [0.6], [0.5]])
    found = interval(scores)
    half = student.ppf(0.975, 7) * scores.std(ddof=1) / 8**0.5
    assert found.kind == "cases only"
    assert (found.lo, found.hi) == pytest.approx((scores.mean() - half, scores.mean() + half))


def test_two_way_variance_by_hand() -> None:
    # Rows 1, 2 and 3; columns -1 and 1 about them; no residual: MSc = 2, MSs = 6, MSe = 0.
    scores = np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]])
    error, freedom = standard_error(scores)
    assert error == pytest.approx(((2 + 6) / 6) ** 0.5)
    assert freedom == pytest.approx(8**2 / (2**2 / 2 + 6**2 / 1))


@pytest.mark.parametrize(
    ("patients", "subsets", "kind"), [(20, 3, "two-way"), (20, 2, "wide"), (7, 5, "wide"), (1, 3, "")]
)
def test_small_designs_are_marked(patients: int, subsets: int, kind: str) -> None:
    found = interval(simulated(0, patients, subsets))
    assert found.kind == kind
    assert (found.lo is None) == (patients == 1)


def test_coverage_of_the_two_way_interval() -> None:
    """95% intervals cover the truth in 92% to 97.5% of 600 repetitions (standard error 0.9%)."""
    hits = []
    for seed in range(600):
        found = interval(simulated(seed, 20, 5))
        assert found.lo is not None and found.hi is not None
        hits.append(found.lo <= 0 <= found.hi)
    assert 0.92 <= np.mean(hits) <= 0.975


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_and_keeps_the_order(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(a >= v - 1e-12 for a, v in zip(adjusted, values, strict=True))
    order = sorted(range(len(values)), key=lambda i: values[i])
    assert all(adjusted[a] <= adjusted[b] for a, b in pairwise(order))


def test_identical_methods_are_not_told_apart() -> None:
    scores = simulated(1, 20, 3)
    assert p_value(scores - scores) == 1.0
    found = ranks({"a": scores, "b": scores.copy()}, higher_is_better=True)
    assert [(rank.lo, rank.hi, rank.tie_group) for rank in found.values()] == [(1, 2, 1), (1, 2, 1)]


def test_a_clear_order_gives_clear_ranks() -> None:
    base = simulated(2, 30, 3, draw=0.001, noise=0.01)
    found = ranks({"low": base, "high": base + 0.4, "middle": base + 0.2}, higher_is_better=True)
    assert {name: (rank.lo, rank.hi, rank.tie_group) for name, rank in found.items()} == {
        "high": (1, 1, 1),
        "middle": (2, 2, 2),
        "low": (3, 3, 3),
    }
    assert ranks({"low": base, "high": base + 0.4}, higher_is_better=False)["low"].hi == 1


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_tied_methods_have_overlapping_rank_ranges(seed: int, methods: int) -> None:
    scores = {f"m{i}": simulated(seed + i, 12, 3) for i in range(methods)}
    found = list(ranks(scores, higher_is_better=True).values())
    assert all(1 <= rank.lo <= rank.hi <= methods for rank in found)
    for a in found:
        for b in found:
            if a.tie_group == b.tie_group == 1:
                assert a.lo <= b.hi and b.lo <= a.hi
