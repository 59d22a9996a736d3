"""Intervals and paired tests: by hand and by property."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import t as student

from bench.stats.intervals import (
    Interval,
    false_outperformance,
    has_interval_of_mean,
    holm_adjusted,
    interval_over_subsets,
    mean_interval,
    mean_squares,
    mean_with_interval_if_known,
    p_value,
    p_values,
    probability_of_superiority,
    standard_error,
    variances_of_means,
)


def simulated(
    seed: int,
    patients: int,
    subsets: int,
    case: float = 0.06,
    draw: float = 0.02,
    noise: float = 0.05,
) -> NDArray[np.float64]:
    """Crossed random effects around zero."""
    random = np.random.default_rng(seed)
    return (
        random.normal(0, case, (patients, 1))
        + random.normal(0, draw, (1, subsets))
        + random.normal(0, noise, (patients, subsets))
    )


def tables() -> st.SearchStrategy[NDArray[np.float64]]:
    """Scores in hundredths, 2 to 12 patients x 1 to 5 subsets."""
    shapes = st.tuples(st.integers(2, 12), st.integers(1, 5))
    return arrays(float, shapes, elements=st.integers(0, 100).map(lambda number: number / 100))


def ends(scores: NDArray[np.float64]) -> list[float]:
    interval = mean_interval(scores)
    assert interval.lo is not None and interval.hi is not None
    return [interval.mean, interval.lo, interval.hi]


def test_one_subset_is_the_ordinary_t_interval() -> None:
    scores = np.array([[0.5], [0.7], [0.6], [0.8], [0.4], [0.9], [0.6], [0.5]])
    interval = mean_interval(scores)
    half = student.ppf(0.975, 7) * scores.std(ddof=1) / 8**0.5
    assert interval.kind == "cases only"
    assert (interval.lo, interval.hi) == pytest.approx((scores.mean() - half, scores.mean() + half))


def test_two_way_variance_by_hand() -> None:
    # Rows 1, 2 and 3; columns -1 and 1 about them; no residual: MSc = 2, MSs = 6, MSe = 0.
    scores = np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]])
    error, freedom = standard_error(scores)
    assert error == pytest.approx(((2 + 6) / 6) ** 0.5)
    assert freedom == pytest.approx(8**2 / (2**2 / 2 + 6**2 / 1))


@pytest.mark.parametrize(
    ("patients", "subsets", "kind"),
    [(20, 3, "two-way"), (20, 2, "wide"), (7, 5, "wide"), (1, 3, "")],
)
def test_small_designs_are_marked(patients: int, subsets: int, kind: str) -> None:
    interval = mean_interval(simulated(0, patients, subsets))
    assert interval.kind == kind
    assert (interval.lo is None) == (patients == 1)


def test_crossed_table_by_hand() -> None:
    # Rows -1 0 1, columns -1 0 1 and a product of both by 3**0.5: all three mean squares are 3.
    step = np.array([-1.0, 0.0, 1.0])
    scores = 0.5 + step[:, None] + step[None] + 3**0.5 * np.outer(step, step)
    assert [float(square) for square in mean_squares(scores)] == pytest.approx([3, 3, 3])
    # Var = (3 + 3 - 3) / 9; the formula gives df = 9 / (9/2 + 9/2 + 9/4) = 0.8, so the floor of
    # s - 1 = 2 holds.
    assert standard_error(scores) == pytest.approx(((1 / 3) ** 0.5, 2))
    interval = mean_interval(scores)
    assert (interval.lo, interval.hi) == pytest.approx(
        (0.5 - 4.302653 * 3**-0.5, 0.5 + 4.302653 * 3**-0.5)
    )


def test_variance_is_never_below_that_of_patients_or_of_subsets() -> None:
    step = np.array([-1.0, 0.0, 1.0])
    scores = (
        2 * step[:, None] + step[None] + 4 * np.outer(step, step)
    )  # MSc 12, MSs 3, MSe 16: 12 + 3 - 16 < 12
    assert standard_error(scores)[0] == pytest.approx((12 / 9) ** 0.5)
    assert standard_error(scores.T)[0] == pytest.approx((12 / 9) ** 0.5)


def test_two_patients() -> None:
    interval = mean_interval(
        np.array([[0.4], [0.6]])
    )  # sd 0.2 / 2**0.5, over 2**0.5: 0.1; t(1) = 12.7062
    assert (interval.lo, interval.hi) == pytest.approx((0.5 - 1.270620, 0.5 + 1.270620), rel=1e-5)
    both = standard_error(np.array([[0.0, 2.0], [4.0, 6.0]]))  # MSc 16, MSs 4, MSe 0
    assert both == pytest.approx((5**0.5, 20**2 / (16**2 + 4**2)))


def test_many_tables_at_once_equal_one_by_one() -> None:
    tables = np.stack([simulated(seed, 7, 4) for seed in range(5)])
    variance, freedom = variances_of_means(tables)
    singles = [standard_error(table) for table in tables]
    assert list(zip(np.sqrt(variance), freedom, strict=True)) == [
        pytest.approx(single) for single in singles
    ]
    assert list(p_values(tables)) == pytest.approx([p_value(table) for table in tables])


@given(tables())
def test_order_of_patients_and_subsets_does_not_matter(scores: NDArray[np.float64]) -> None:
    random = np.random.default_rng(0)
    shuffled = random.permutation(random.permutation(scores, axis=0), axis=1)
    assert ends(shuffled) == pytest.approx(ends(scores), abs=1e-9)
    assert probability_of_superiority(shuffled - 0.5) == probability_of_superiority(scores - 0.5)


@given(tables(), st.floats(-5, 5), st.floats(0.1, 10))
def test_interval_moves_and_stretches_with_the_scores(
    scores: NDArray[np.float64], shift: float, scale: float
) -> None:
    moved = [shift + scale * end for end in ends(scores)]
    assert ends(shift + scale * scores) == pytest.approx(moved, abs=1e-8)


@given(st.floats(0, 1), st.integers(2, 20), st.integers(1, 6))
def test_equal_scores_give_no_width(score: float, patients: int, subsets: int) -> None:
    assert ends(np.full((patients, subsets), score)) == pytest.approx([score] * 3, abs=1e-14)


def test_values_of_subsets_alone() -> None:
    values = np.array([9.0, 12.0, 15.0, 10.0, 14.0])  # sd sqrt(6.5); t(4) = 2.776445
    interval = interval_over_subsets(values)
    assert (interval.mean, interval.kind) == (12, "subsets only")
    half_width = 2.776445 * (6.5 / 5) ** 0.5
    assert (interval.lo, interval.hi) == pytest.approx((12 - half_width, 12 + half_width))


@pytest.mark.parametrize("subsets", [1, 2, 4])
def test_few_values_of_subsets_have_no_interval(subsets: int) -> None:
    interval = interval_over_subsets(np.arange(subsets, dtype=float))
    assert interval == Interval((subsets - 1) / 2, None, None, "few draws")


def test_superiority_counts_ties_half() -> None:
    assert probability_of_superiority(np.array([[0.1, 0.0], [-0.2, 0.3]])) == (2 + 0.5) / 4


def test_false_outperformance_with_one_subset_is_the_published_formula() -> None:
    random = np.random.default_rng(4)
    a, b = random.normal(0.72, 0.1, 30), random.normal(0.70, 0.12, 30)
    spread = (
        a.var(ddof=1) + b.var(ddof=1) - 2 * a.std(ddof=1) * b.std(ddof=1) * np.corrcoef(a, b)[0, 1]
    )
    expected = student.cdf(30**0.5 * (b.mean() - a.mean()) / spread**0.5, 29)
    assert false_outperformance((a - b)[:, None]) == pytest.approx(expected)


@given(tables())
def test_the_two_directions_add_up_to_one(scores: NDArray[np.float64]) -> None:
    difference = scores - 0.5
    assert probability_of_superiority(difference) + probability_of_superiority(
        -difference
    ) == pytest.approx(1)
    one, other = false_outperformance(difference), false_outperformance(-difference)
    assert one + other == pytest.approx(1)
    assert p_value(difference) == pytest.approx(2 * min(one, other), abs=1e-12)


def test_differences_that_do_not_vary() -> None:
    nothing, gap = np.zeros((5, 3)), np.full((5, 3), 0.25)
    assert (p_value(nothing), p_value(gap)) == (1, 0)
    assert [false_outperformance(table) for table in (nothing, gap, -gap)] == [0.5, 0, 1]
    assert (p_value(gap[:1]), false_outperformance(gap[:1])) == (1, 0.5)  # one patient says nothing


def test_holm_by_hand() -> None:
    assert holm_adjusted([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm_adjusted([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_and_keeps_the_order(values: list[float]) -> None:
    adjusted = holm_adjusted(values)
    assert all(a >= v - 1e-12 for a, v in zip(adjusted, values, strict=True))
    order = sorted(range(len(values)), key=lambda i: values[i])
    assert all(adjusted[a] <= adjusted[b] for a, b in pairwise(order))


@pytest.mark.parametrize("subsets", [1, 2, 4])
def test_a_mean_has_no_interval_below_five_draws(subsets: int) -> None:
    scores = simulated(0, 20, subsets)
    assert not has_interval_of_mean(subsets)
    assert mean_with_interval_if_known(scores) == Interval(
        float(scores.mean()), None, None, "few draws"
    )


def test_a_mean_has_its_interval_from_five_draws_on() -> None:
    scores = simulated(0, 20, 5)
    assert has_interval_of_mean(5)
    assert mean_with_interval_if_known(scores) == mean_interval(scores)
