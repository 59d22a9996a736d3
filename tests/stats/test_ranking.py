"""Rank distributions and the three ranking rules, by hand and by property."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kendalltau

from bench.errors import BenchError
from bench.stats.intervals import false_outperformance, mean_interval, tie_groups
from bench.stats.ranking import (
    DRAWS,
    average_ranks,
    covariance_root,
    joint_draws,
    kendall_tau,
    order_by_rules,
    percentile_ranks,
    rank_agreement,
    rank_distributions,
    rank_shares,
)
from bench.stats.shared_variance import MethodTable, SharedVariance, share_variance
from bench.stats.verdicts import not_separated_from_best


def methods(
    seed: int, k: int = 4, n: int = 15, s: int = 3, gap: float = 0.01
) -> dict[str, NDArray[np.float64]]:
    """k methods `gap` apart on the same patients and subsets; the last has the best truth."""
    random = np.random.default_rng(seed)
    shared = random.normal(0.7, 0.06, (n, 1)) + random.normal(0, 0.02, (1, s))
    own = (
        random.normal(0, 0.015, (k, 1, s))
        + random.normal(0, 0.03, (k, n, 1))
        + random.normal(0, 0.05, (k, n, s))
    )
    return {f"m{i}": shared + i * gap + own[i] for i in range(k)}


def difference_variances(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    diagonal = np.diag(covariance)
    return diagonal[:, None] + diagonal[None] - 2 * covariance


def test_covariance_has_the_given_variances_of_differences() -> None:
    factor = np.random.default_rng(0).normal(size=(5, 5))
    wanted = difference_variances(factor @ factor.T)
    root = covariance_root(wanted)
    assert root == pytest.approx(root.T)
    assert difference_variances(root @ root) == pytest.approx(wanted)


def test_variances_that_no_covariance_has_are_widened_only() -> None:
    wanted = np.array(
        [[0.0, 1, 9], [1, 0, 1], [9, 1, 0]]
    )  # sd 1 + 1 < 3: no three means differ like this
    variances = difference_variances(np.linalg.matrix_power(covariance_root(wanted), 2))
    assert (variances >= wanted - 1e-12).all()
    assert variances[0, 2] == pytest.approx(
        9
    )  # what could be had stays: the clipped direction is (1, -2, 1)
    assert variances[0, 1] == pytest.approx(9 / 4)


def test_drawn_differences_of_two_methods_fill_their_interval() -> None:
    tables = np.stack(list(methods(1, k=2, s=5).values()))
    drawn = joint_draws(tables, seed=3, draws=200_000) @ [1, -1]
    expected = mean_interval(tables[0] - tables[1])
    assert expected.lo is not None and expected.hi is not None
    tolerance = 0.02 * (
        expected.hi - expected.lo
    )  # a quantile of 200,000 draws is known to about 0.5% of the width
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx(
        [expected.lo, expected.hi], abs=tolerance
    )


def test_drawn_differences_of_three_methods_fill_each_interval() -> None:
    """One number of degrees of freedom serves all pairs, yet each 95% width is the pair's own."""
    tables = np.stack(
        list(methods(2, k=3, n=40, s=1).values())
    )  # one subset: a covariance with these variances exists
    drawn = joint_draws(tables, seed=3, draws=200_000)
    for a, b in combinations(range(3), 2):
        expected = mean_interval(tables[a] - tables[b])
        assert expected.lo is not None and expected.hi is not None
        tolerance = 0.02 * (expected.hi - expected.lo)
        ends = np.quantile(drawn[:, a] - drawn[:, b], [0.025, 0.975])
        assert ends == pytest.approx([expected.lo, expected.hi], abs=tolerance)


@pytest.mark.parametrize("seed", range(5))
def test_first_of_two_is_the_complement_of_false_outperformance(seed: int) -> None:
    scores = methods(seed, k=2)
    ranks = rank_distributions(scores, higher_is_better=True)
    expected = 1 - false_outperformance(scores["m1"] - scores["m0"])
    error = (expected * (1 - expected) / 2000) ** 0.5
    assert ranks["m1"].first == pytest.approx(expected, abs=4 * error + 1e-9)


def test_shares_by_hand() -> None:
    draws = np.array([[3.0, 2, 1], [3, 1, 2], [2, 2, 1], [1, 1, 1]])
    assert rank_shares(draws).tolist() == [[1, 0, 0], [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]


def test_percentiles_of_a_rank_by_hand() -> None:
    assert percentile_ranks(np.array([0.0, 1.0, 0.0])) == (2, 2)
    assert percentile_ranks(np.array([0.024, 0.95, 0.026])) == (2, 3)
    assert percentile_ranks(np.array([0.025, 0.95, 0.025])) == (1, 2)


def test_a_clear_order_gives_clear_ranks() -> None:
    scores = methods(0, k=3, gap=0.5)
    ranks = rank_distributions(scores, higher_is_better=True)
    assert [
        (name, rank.lo, rank.hi, rank.first, rank.tie_group) for name, rank in ranks.items()
    ] == [
        ("m2", 1, 1, 1.0, 1),
        ("m1", 2, 2, 0.0, 2),
        ("m0", 3, 3, 0.0, 3),
    ]
    assert list(rank_distributions(scores, higher_is_better=False)) == ["m0", "m1", "m2"]


def test_identical_methods_share_every_draw() -> None:
    scores = methods(0, k=2, gap=0.5)
    ranks = rank_distributions({**scores, "twin": scores["m1"].copy()}, higher_is_better=True)
    assert [(rank.lo, rank.hi) for rank in ranks.values()] == [(1, 1), (1, 1), (3, 3)]
    first, twin, last = (rank.first for rank in ranks.values())
    assert first == twin == pytest.approx(1, abs=1e-3) and last == pytest.approx(0, abs=1e-3)
    alike = rank_distributions(dict.fromkeys("abc", scores["m0"]), higher_is_better=True)
    assert {(rank.lo, rank.hi, rank.shares) for rank in alike.values()} == {(1, 1, (1.0, 0.0, 0.0))}


def test_one_patient_allows_every_rank_and_draws_none() -> None:
    ranks = rank_distributions(methods(0, k=3, n=1), higher_is_better=True)
    assert {(rank.lo, rank.hi, rank.first, rank.shares) for rank in ranks.values()} == {
        (1, 3, None, ())
    }


def test_one_draw_of_the_labels_allows_every_rank() -> None:
    """Found in a review: a board that lost a draw had narrower ranges than the whole one."""
    scores = methods(0, k=3, n=40, s=1, gap=0.2)
    shared = shared_by(scores)
    ranks = rank_distributions(scores, True, shared)
    assert {(rank.lo, rank.hi, rank.first, rank.shares) for rank in ranks.values()} == {
        (1, 3, None, ())
    }


def test_the_random_numbers_of_a_share_hardly_matter() -> None:
    """Found in a review: 2,000 draws published ranges that 3% of the seeds give."""
    scores = methods(3, k=4, n=20, s=5, gap=0.03)
    tables = np.stack(list(scores.values()))
    shares = [rank_shares(joint_draws(tables, seed, DRAWS))[1] for seed in range(20)]
    assert np.std(shares, axis=0).max() < 0.003  # at most half of it, squared, over 50,000


def test_one_method_is_first_and_none_is_nothing() -> None:
    ranks = rank_distributions(methods(0, k=1), higher_is_better=True)["m0"]
    assert (ranks.lo, ranks.hi, ranks.shares) == (1, 1, (1.0,))
    assert rank_distributions({}, True) == order_by_rules({}, True) == {}


def test_kernel_distances_without_patients_are_ranked_over_subsets() -> None:
    kid = {"near": np.array([0.010, 0.012, 0.011]), "far": np.array([0.050, 0.053, 0.051])}
    ranks = rank_distributions(
        {name: values[:, None] for name, values in kid.items()}, higher_is_better=False
    )
    assert [(name, rank.lo, rank.hi) for name, rank in ranks.items()] == [
        ("near", 1, 1),
        ("far", 2, 2),
    ]


def test_ranges_are_widened_where_percentiles_would_separate_a_tie() -> None:
    """Holm's rule does tie methods whose percentiles have no rank in common."""
    separated = []
    for seed in range(60):
        scores = methods(seed, k=6, n=20, s=5, gap=0.02)
        ranks = rank_distributions(scores, higher_is_better=True)
        for a, b in tied(tie_groups(scores, list(ranks))):
            lo_a, hi_a = percentile_ranks(np.array(ranks[a].shares))
            lo_b, hi_b = percentile_ranks(np.array(ranks[b].shares))
            separated.append(max(lo_a, lo_b) > min(hi_a, hi_b))
            assert max(ranks[a].lo, ranks[b].lo) <= min(ranks[a].hi, ranks[b].hi)
    assert 0 < sum(separated) < 0.2 * len(separated)


def tied(groups: dict[str, int]) -> list[tuple[str, str]]:
    return [(a, b) for a, b in combinations(groups, 2) if groups[a] == groups[b]]


@settings(deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 6),
    st.integers(1, 4),
    st.floats(-3, 3),
    st.floats(0.01, 100),
)
def test_ranks_do_not_depend_on_order_zero_and_unit(
    seed: int, k: int, s: int, shift: float, scale: float
) -> None:
    scores = methods(seed, k, n=8, s=s)
    ranks = rank_distributions(scores, higher_is_better=True)
    for rank in ranks.values():
        assert 1 <= rank.lo <= rank.hi <= k
        assert rank.first == rank.shares[0]
        assert sum(rank.shares) == pytest.approx(1)
    random = np.random.default_rng(seed)
    patients, subsets = random.permutation(8), random.permutation(s)
    changed = {
        name: shift + scale * scores[name][patients][:, subsets] for name in reversed(scores)
    }
    assert rank_distributions(changed, higher_is_better=True) == ranks
    flipped = {name: -table for name, table in scores.items()}
    assert rank_distributions(flipped, higher_is_better=False) == ranks


def test_three_rules_can_crown_three_methods() -> None:
    scores = {
        "mean": np.array([[0.90, 0.90], [0.99, 0.99], [0.95, 0.94], [0.40, 0.30]]),
        "often": np.array([[0.91, 0.91], [0.80, 0.80], [0.96, 0.96], [0.41, 0.31]]),
        "safe": np.array([[0.70, 0.70], [0.70, 0.70], [0.70, 0.70], [0.70, 0.70]]),
    }
    orderings = order_by_rules(scores, higher_is_better=True)
    assert orderings["mean"].ranks == {"mean": 1, "often": 2, "safe": 3}
    assert orderings["mean_rank"].values == pytest.approx(
        {"mean": 16 / 8, "often": 12 / 8, "safe": 20 / 8}
    )
    assert orderings["mean_rank"].ranks == {"mean": 2, "often": 1, "safe": 3}
    # The 5th percentile of 8 values lies 0.35 of the way from the lowest to the next.
    assert orderings["worst_case"].values == pytest.approx(
        {"mean": 0.335, "often": 0.345, "safe": 0.7}
    )
    assert orderings["worst_case"].ranks == {"mean": 3, "often": 2, "safe": 1}
    assert rank_agreement(orderings) == pytest.approx(
        {
            ("mean", "mean_rank"): 1 / 3,
            ("mean", "worst_case"): -1.0,
            ("mean_rank", "worst_case"): -1 / 3,
        }
    )


def test_worst_case_is_the_upper_end_where_lower_is_better() -> None:
    scores = {"steady": np.full((20, 1), 6.0), "wild": np.array([[1.0]] * 18 + [[50.0]] * 2)}
    orderings = order_by_rules(scores, higher_is_better=False)
    assert orderings["worst_case"].values == pytest.approx({"steady": 6, "wild": 50})
    assert (orderings["worst_case"].ranks["steady"], orderings["mean"].ranks["steady"]) == (1, 2)
    assert orderings["mean_rank"].ranks == {"steady": 2, "wild": 1}


def test_ties_take_their_mean_rank() -> None:
    values = np.array([[0.9, 0.5], [0.9, 0.5], [0.1, 0.5]])
    assert average_ranks(values).tolist() == [[1.5, 2], [1.5, 2], [3, 2]]


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=9))
def test_tau_agrees_with_scipy(pairs: list[tuple[int, int]]) -> None:
    first = [one for one, _ in pairs]
    second = [other for _, other in pairs]
    tau = kendall_tau(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert tau is None
    else:
        assert tau == pytest.approx(kendalltau(first, second).statistic)


def shared_by(scores: dict[str, NDArray[np.float64]]) -> SharedVariance:
    return share_variance([MethodTable(name, table) for name, table in scores.items()])


def test_drawn_differences_fill_the_interval_of_a_shared_variance() -> None:
    """Two of four methods: the others tell how much their difference varies from draw to draw."""
    scores = methods(3, k=4, s=2)
    shared = shared_by(scores)
    names = ["m0", "m1"]
    assert shared.every_pair.pairs[0] == tuple(names)
    variances = (shared.every_pair.variance[:1], shared.every_pair.freedom[:1])
    tables = np.stack([scores[name] for name in names])
    drawn = joint_draws(tables, seed=3, draws=200_000, variances=variances) @ [1, -1]
    expected = shared.difference("m0", "m1").interval()
    assert expected is not None
    tolerance = 0.02 * (expected[1] - expected[0])
    ends = np.quantile(drawn, [0.025, 0.975])
    assert ends == pytest.approx(expected, abs=tolerance)


def test_variances_of_each_pair_alone_are_the_default() -> None:
    scores = methods(4, k=3)  # too few to share a variance
    tables = np.stack(list(scores.values()))
    every_pair = shared_by(scores).every_pair
    given = joint_draws(tables, seed=1, variances=(every_pair.variance, every_pair.freedom))
    assert (given == joint_draws(tables, seed=1)).all()


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_methods_that_share_a_variance_tie_with_the_best_alone(higher_is_better: bool) -> None:
    scores = methods(5, k=8, gap=0.03)
    shared = shared_by(scores)
    ranks = rank_distributions(scores, higher_is_better, shared)
    tied = not_separated_from_best(shared, higher_is_better)
    assert {name for name, rank in ranks.items() if rank.tie_group == 1} == tied
    assert {rank.tie_group for rank in ranks.values()} == {1, 2}
    smallest_hi = min(ranks[name].hi for name in tied)
    assert max(ranks[name].lo for name in tied) <= smallest_hi


def test_a_shared_variance_must_be_that_of_the_ranked_methods() -> None:
    scores = methods(6)
    with pytest.raises(BenchError, match="shared by others"):
        rank_distributions(scores, True, shared_by({**scores, "another": scores["m0"]}))
