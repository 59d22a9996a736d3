"""Which method is best, and how surely: rank distributions, orders by three rules (R4.2, R4.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.stats import many_pairs
from bench.stats.intervals import (
    LEVEL,
    Folds,
    best_first,
    fold_count,
    tie_groups,
    variances_of_means,
)
from bench.stats.shared_variance import SharedVariance
from bench.stats.verdicts import not_separated_from_best

# Draws of the true means: a share of 2.5% is then known to 0.07%. Many methods take fewer.
DRAWS, DRAWS_OF_MANY = 50_000, 2000
# Numbers of the two groups where methods share a draw variance.
TIED_WITH_BEST, SEPARATED_FROM_BEST = 1, 2
# Method -> n patients x s subsets; all methods have the same patients and subsets.
Scores = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class RankDistribution:
    """Ranks of one method over draws of the true means; 1 is the best rank.

    `lo`: 2.5th percentile of the rank, or less (see `rank_distributions`). `hi`: 97.5th percentile.
    `first`: P(rank 1), where methods that tie exactly are all first; None with one patient or one
    draw of the labels. `shares`: of the draws at rank 1, 2, ..., k; empty where `first` is None.
    `tie_group`: with a shared draw variance, 1 for the methods that are not separated from the best
    and 2 for all others.
    """

    lo: int
    hi: int
    first: float | None
    shares: tuple[float, ...]
    tie_group: int


def rank_distributions(
    scores: Scores, higher_is_better: bool, shared: SharedVariance | None = None
) -> dict[str, RankDistribution]:
    """Rank distribution of each method, best mean first, from joint draws of all means (R4.2).

    Holm's rule asks for more evidence than 2.5% of the draws, so percentiles alone could separate
    methods that share a tie group. Therefore no `lo` of a group exceeds the group's smallest `hi`:
    the ranges of tied methods always have a rank in common. With one patient, or one draw of the
    labels in `shared`, there is no variation to draw from, and every rank is possible. `shared`
    holds the same methods by the same names: differences then share their draw variance, and
    methods tie with the best alone.
    """
    names = best_first(scores, higher_is_better)
    groups = _tie_groups(scores, names, higher_is_better, shared)
    if not names or not _vary(scores[names[0]], shared):
        return {name: RankDistribution(1, len(names), None, (), groups[name]) for name in names}
    shares = _shares_of_ranks(scores, higher_is_better, shared)
    ranges = {name: percentile_ranks(shares[name]) for name in names}
    smallest_hi = _smallest_hi_of_groups(ranges, groups)
    distributions = {}
    for name in names:
        lo, hi = ranges[name]
        group = groups[name]
        if shared is None or group == TIED_WITH_BEST:
            lo = min(lo, smallest_hi[group])
        share = tuple(shares[name].tolist())
        distributions[name] = RankDistribution(
            lo=lo, hi=hi, first=share[0], shares=share, tie_group=group
        )
    return distributions


def _vary(table: NDArray[np.float64], shared: SharedVariance | None) -> bool:
    """Whether a mean (of n x s) is known to vary: over patients, and draws or outer folds."""
    patients, draws = table.shape
    if shared is None:  # such as distances of images, one of each draw
        return patients > 1
    return patients > 1 and max(draws, fold_count(shared.folds)) > 1


def _tie_groups(
    scores: Scores, names: Sequence[str], higher_is_better: bool, shared: SharedVariance | None
) -> dict[str, int]:
    if shared is None:
        return tie_groups(scores, names)
    if shared.labels != sorted(names):
        raise BenchError(
            f"ranks of {sorted(names)} were asked for with a variance shared by others"
        )
    tied = not_separated_from_best(shared, higher_is_better)
    groups = dict.fromkeys(names, SEPARATED_FROM_BEST)
    groups.update(dict.fromkeys(tied, TIED_WITH_BEST))
    return groups


def _shares_of_ranks(
    scores: Scores, higher_is_better: bool, shared: SharedVariance | None
) -> dict[str, NDArray[np.float64]]:
    """Share of the draws at rank 1, 2, ..., k for each method."""
    names = sorted(scores)
    sign = 1 if higher_is_better else -1
    tables = np.stack([scores[name] for name in names]) * sign
    variances = None
    if shared is not None and many_pairs.can_compute(shared, names):
        upper = np.triu_indices(len(names), 1)
        variance, freedom = many_pairs.variances_of_all_pairs(shared, names)
        variances = variance[upper], freedom[upper]
    elif shared is not None and len(names) > 1:
        every_pair = shared.every_pair
        variances = (every_pair.variance, every_pair.freedom)
    count = DRAWS if len(names) <= many_pairs.MANY else DRAWS_OF_MANY
    draws = joint_draws(tables, draw_seed(names, tables.shape), count, variances)
    return dict(zip(names, rank_shares(draws), strict=True))


def _smallest_hi_of_groups(
    ranges: Mapping[str, tuple[int, int]], groups: Mapping[str, int]
) -> dict[int, int]:
    smallest: dict[int, int] = {}
    for name, (_, hi) in ranges.items():
        group = groups[name]
        smallest[group] = min(hi, smallest.get(group, hi))
    return smallest


def joint_draws(
    tables: NDArray[np.float64],
    seed: int,
    draws: int = DRAWS,
    variances: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    folds: Folds = None,
) -> NDArray[np.float64]:
    """Draws (draws x k) of the true means of k tables (k x n x s), n > 1, from a multivariate t.

    Only differences of the drawn means carry meaning (R4.2). The multivariate t has one number of
    degrees of freedom, the median over pairs; the variance of each pair is scaled so that 95% of
    its drawn differences fill the pair's own interval (R4.1). `variances` holds variance and
    degrees of freedom of all pairs, in the order of `itertools.combinations`, where they are not
    those of each pair on its own (`SharedVariance.variances`), which `folds` are for: the outer
    folds of patients (R4.1c).
    """
    means = tables.mean((1, 2))
    first, second = np.triu_indices(len(tables), 1)
    if variances is None:
        variances = variances_of_means(tables[first] - tables[second], folds)
    variance, freedom = variances
    varying = variance > 0
    if not varying.any():
        return np.tile(means, (draws, 1))
    common_freedom = float(np.median(freedom[varying]))
    widening = _widening(freedom, common_freedom)
    of_differences = np.zeros((len(tables), len(tables)))
    of_differences[first, second] = np.where(varying, variance * widening**2, 0)
    root = covariance_root(of_differences + of_differences.T)
    random = np.random.default_rng(seed)
    normal = random.standard_normal((draws, len(tables))) @ root
    chi_square = random.chisquare(common_freedom, (draws, 1))
    drawn: NDArray[np.float64] = means + normal / np.sqrt(chi_square / common_freedom)
    return drawn


def _widening(freedom: NDArray[np.float64], common_freedom: float) -> NDArray[np.float64]:
    """How much wider 95% intervals are with these degrees of freedom than with a common number."""
    from scipy.special import stdtrit

    upper = 0.5 + LEVEL / 2
    return np.asarray(stdtrit(freedom, upper) / stdtrit(common_freedom, upper))


def covariance_root(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Symmetric root of a covariance (k x k) whose differences have the given variances (k x k).

    The covariance is -J V J / 2 with J = I - 1/k (centring of Gower 1966, doi
    10.1093/biomet/53.3-4.325); `variance` has a zero diagonal. The maximum in R4.1 can make it
    indefinite; negative eigenvalues are set to 0, which can only widen differences. The symmetric
    root, unlike other roots, does not jump when the last digit of a score changes.
    """
    centre = np.eye(len(variance)) - 1 / len(variance)
    values, vectors = np.linalg.eigh(-centre @ variance @ centre / 2)
    values[values < 1e-12 * values[-1]] = 0
    root: NDArray[np.float64] = (vectors * np.sqrt(values)) @ vectors.T
    return root


def rank_shares(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the draws (B x k, more is better) in which method i has rank r + 1: k x k.

    Ties take the best rank.
    """
    tolerance = 1e-9 * np.ptp(draws)  # identical methods still differ by rounding
    better = _count_better(draws, tolerance)
    counts = []
    for of_method in better.T:
        counts.append(np.bincount(of_method, minlength=len(better.T)))
    return np.stack(counts) / len(draws)


def _count_better(draws: NDArray[np.float64], tolerance: float) -> NDArray[np.intp]:
    """How many methods are better than each in each draw (B x k); sorting pays for many methods."""
    methods = draws.shape[1]
    better = np.empty(draws.shape, np.intp)
    if methods > many_pairs.MANY:
        for number, draw in enumerate(draws):
            better[number] = methods - np.searchsorted(np.sort(draw), draw + tolerance, "right")
        return better
    by_method = np.ascontiguousarray(draws.T)
    for number, method in enumerate(by_method):
        better[:, number] = np.count_nonzero(by_method > method + tolerance, axis=0)
    return better


def percentile_ranks(shares: NDArray[np.float64]) -> tuple[int, int]:
    """2.5th and 97.5th percentile of a rank, from its shares at rank 1, 2, ..., k."""
    outside = (1 - LEVEL) / 2
    cumulative = np.cumsum(shares)
    return _rank_at(cumulative, outside), _rank_at(cumulative, 1 - outside)


def _rank_at(cumulative: NDArray[np.float64], level: float) -> int:
    return int(np.argmax(cumulative >= level - 1e-9)) + 1


def draw_seed(names: Sequence[str], shape: Sequence[int]) -> int:
    """Seed of the joint draws, from the methods' names and the size of the tables.

    It does not depend on the scores: another order of the patients, or another last digit, must
    not change a rank.
    """
    text = "\n".join([*names, *map(str, shape)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


@dataclass(frozen=True, slots=True)
class Ordering:
    """Methods under one ranking rule: the values that it ranks by, and the ranks.

    Rank 1 is the best; equal values share the best rank.
    """

    values: dict[str, float]
    ranks: dict[str, int]


def order_by_rules(scores: Scores, higher_is_better: bool) -> dict[str, Ordering]:
    """The methods under each of the three rules that are always printed (R4.4).

    "mean": by the mean of all scores. "mean_rank": by the mean of the ranks within each pair
    (patient, subset), ties averaged. "worst_case": by the 5th percentile over these pairs, or the
    95th where lower is better, linear between order statistics.
    """
    if not scores:
        return {}
    names = sorted(scores)
    tables = np.stack([scores[name] for name in names]).reshape(len(names), -1)
    sign = 1 if higher_is_better else -1
    worst = np.quantile(sign * tables, 0.05, axis=1)
    mean_rank = average_ranks(sign * tables).mean(1)
    return {
        "mean": _order_by_values(names, tables.mean(1), sign),
        "mean_rank": _order_by_values(names, mean_rank, -1),
        "worst_case": _order_by_values(names, sign * worst, sign),
    }


def average_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank of each of k methods in each column (k x m, more is better); ties get the mean rank."""
    better = np.stack([np.count_nonzero(values > one, axis=0) for one in values])
    equal = np.stack([np.count_nonzero(values == one, axis=0) for one in values])
    return better + (equal + 1) / 2


def _order_by_values(names: Sequence[str], values: NDArray[np.float64], sign: int) -> Ordering:
    """Rank 1 for the largest value, or the smallest where `sign` is -1."""
    ranks = 1 + (sign * values[None] > sign * values[:, None]).sum(1)
    return Ordering(
        values=dict(zip(names, values.tolist(), strict=True)),
        ranks=dict(zip(names, ranks.tolist(), strict=True)),
    )


def rank_agreement(orderings: Mapping[str, Ordering]) -> dict[tuple[str, str], float | None]:
    """Kendall's tau-b between the ranks under each two rules, of the same methods (R4.4)."""
    ranks = {}
    for rule, ordering in orderings.items():
        ranks[rule] = [ordering.ranks[name] for name in sorted(ordering.ranks)]
    return {(a, b): kendall_tau(ranks[a], ranks[b]) for a, b in combinations(ranks, 2)}


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's tau-b of two rankings of the same k things; None where one ranks them all alike.

    The sum of sign products over all pairs, over the root of the numbers of untied pairs in each
    (Kendall 1945, doi 10.1093/biomet/33.3.239).
    """
    first_signs = np.sign(np.subtract.outer(np.array(first), np.array(first)))
    second_signs = np.sign(np.subtract.outer(np.array(second), np.array(second)))
    scale = float(np.sqrt((first_signs**2).sum() * (second_signs**2).sum()))
    if not scale:
        return None
    return float((first_signs * second_signs).sum()) / scale
