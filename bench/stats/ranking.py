"""Which method is first, and how surely: rank distribution, orderings under three rules. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.stats.intervals import (
    LEVEL,
    best_first,
    tie_groups,
    variances,
)

DRAWS = 2000
Scores = Mapping[
    str, NDArray[np.float64]
]  # method -> n patients x s subsets, the same ones for all methods


@dataclass(frozen=True, slots=True)
class RankDistribution:
    """Ranks of one method over draws of the true means."""

    lo: int  # 2.5th percentile of the rank, or lower: see `rank_distributions`
    hi: int  # 97.5th percentile
    first: float | None  # P(rank 1); methods that tie exactly are all first; None with one patient
    shares: tuple[float, ...]  # of the draws at rank 1, 2, ..., k; empty with one patient
    tie_group: int


def rank_distributions(scores: Scores, higher_is_better: bool) -> dict[str, RankDistribution]:
    """Rank distribution of each method, best mean first, from draws of all means together (protocol R4.2).

    Holm asks for more evidence than 2.5% of the draws, so percentiles alone could part methods that share a tie group.
    Therefore no `lo` of a group lies above its smallest `hi`: the ranges of tied methods always have a rank in common.
    With one patient nothing varies that could be drawn, and every rank is allowed.
    """
    names = best_first(scores, higher_is_better)
    groups = tie_groups(scores, names)
    if not names or scores[names[0]].shape[0] < 2:
        return {name: RankDistribution(1, len(names), None, (), groups[name]) for name in names}
    by_name = sorted(names)
    tables = np.stack([scores[name] for name in by_name]) * (1 if higher_is_better else -1)
    shares = dict(
        zip(by_name, rank_shares(joint_draws(tables, seed_of(by_name, tables.shape))), strict=True)
    )
    ranges = {name: percentile_ranks(shares[name]) for name in names}
    common = {
        group: min(ranges[name][1] for name in names if groups[name] == group)
        for group in groups.values()
    }
    found = {}
    for name in names:
        (lo, hi), share, group = ranges[name], tuple(shares[name].tolist()), groups[name]
        found[name] = RankDistribution(min(lo, common[group]), hi, share[0], share, group)
    return found


def joint_draws(tables: NDArray[np.float64], seed: int, draws: int = DRAWS) -> NDArray[np.float64]:
    """Draws (draws x k) of the true means of k tables (k x n x s, n > 1): multivariate t around the means (R4.2).

    Only differences of the drawn means carry meaning. The t has one number of degrees of freedom, the median over
    pairs; each pair's variance is scaled so that 95% of its drawn differences fill the pair's own R4.1 interval.
    """
    from scipy.special import stdtrit

    means = tables.mean((1, 2))
    pairs = np.triu_indices(len(tables), 1)
    variance, freedom = variances(tables[pairs[0]] - tables[pairs[1]])
    varying = variance > 0
    if not varying.any():
        return np.tile(means, (draws, 1))
    common = float(np.median(freedom[varying]))
    upper = 0.5 + LEVEL / 2
    distance = np.zeros((len(tables), len(tables)))
    distance[pairs] = np.where(
        varying, variance * (stdtrit(freedom, upper) / stdtrit(common, upper)) ** 2, 0
    )
    root = covariance_root(distance + distance.T)
    random = np.random.default_rng(seed)
    noise = random.standard_normal((draws, len(tables))) @ root
    result: NDArray[np.float64] = means + noise / np.sqrt(
        random.chisquare(common, (draws, 1)) / common
    )
    return result


def covariance_root(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Symmetric root of the covariance (k x k) whose differences have the given variances (k x k, zero diagonal).

    That covariance is -J V J / 2 with J = I - 1/k (Gower's centring). R4.1's maximum can make it indefinite; negative
    eigenvalues are set to 0, which can only widen differences. The symmetric root, unlike other roots, does not jump
    when a score changes in its last digit.
    """
    centre = np.eye(len(variance)) - 1 / len(variance)
    values, vectors = np.linalg.eigh(-centre @ variance @ centre / 2)
    values[values < 1e-12 * values[-1]] = 0
    root: NDArray[np.float64] = (vectors * np.sqrt(values)) @ vectors.T
    return root


def rank_shares(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the draws (B x k, more is better) in which method i has rank r + 1: k x k; ties take the best rank."""
    tolerance = 1e-9 * np.ptp(draws)  # identical methods differ by rounding alone
    methods = np.ascontiguousarray(draws.T)
    ranks = [np.count_nonzero(methods > one + tolerance, axis=0) for one in methods]
    return np.stack([np.bincount(rank, minlength=len(methods)) for rank in ranks]) / len(draws)


def percentile_ranks(shares: NDArray[np.float64]) -> tuple[int, int]:
    """2.5th and 97.5th percentile of a rank, from its share at rank 1, 2, ..., k."""
    up_to = np.cumsum(shares)
    outside = (1 - LEVEL) / 2
    lo, hi = (int(np.argmax(up_to >= level - 1e-9)) + 1 for level in (outside, 1 - outside))
    return lo, hi


def seed_of(names: Sequence[str], shape: Sequence[int]) -> int:
    """Seed from the methods' names and the size of the tables.

    Not from the scores: another order of the patients, or another last digit, must not change a rank.
    """
    return int.from_bytes(
        hashlib.sha256("\n".join([*names, *map(str, shape)]).encode()).digest()[:8]
    )


@dataclass(frozen=True, slots=True)
class Ordering:
    """Methods under one ranking rule."""

    values: dict[str, float]  # what the rule ranks by
    ranks: dict[str, int]  # 1 is best; equal values share the best rank


def orderings(scores: Scores, higher_is_better: bool) -> dict[str, Ordering]:
    """The three rules that are always printed (R4.4).

    "mean": of all scores. "mean_rank": of the ranks (ties averaged) within each pair (patient, subset).
    "worst_case": the 5th percentile of these pairs (95th where lower is better), linear between order statistics.
    """
    if not scores:
        return {}
    names = sorted(scores)
    tables = np.stack([scores[name] for name in names]).reshape(len(names), -1)
    sign = 1 if higher_is_better else -1
    worst = np.quantile(sign * tables, 0.05, axis=1)
    mean_rank = average_ranks(sign * tables).mean(1)
    return {
        "mean": _ordering(names, tables.mean(1), sign),
        "mean_rank": _ordering(names, mean_rank, -1),
        "worst_case": _ordering(names, sign * worst, sign),
    }


def average_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank of each of k methods in each column (k x m, more is better); ties take their mean rank."""
    ahead = np.stack([np.count_nonzero(values > one, axis=0) for one in values])
    equal = np.stack([np.count_nonzero(values == one, axis=0) for one in values])
    return ahead + (equal + 1) / 2


def _ordering(names: Sequence[str], values: NDArray[np.float64], sign: int) -> Ordering:
    ranks = 1 + (sign * values[None] > sign * values[:, None]).sum(1)
    return Ordering(
        dict(zip(names, values.tolist(), strict=True)),
        dict(zip(names, ranks.tolist(), strict=True)),
    )


def agreement(found: Mapping[str, Ordering]) -> dict[tuple[str, str], float | None]:
    """Kendall's tau-b between the ranks of each two orderings of the same methods."""
    ranks = {
        rule: [ordering.ranks[name] for name in sorted(ordering.ranks)]
        for rule, ordering in found.items()
    }
    return {(a, b): kendall_tau(ranks[a], ranks[b]) for a, b in combinations(ranks, 2)}


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's tau-b of two rankings of the same k things; None where one ranks them all alike."""
    signs = [
        np.sign(np.subtract.outer(values, values)) for values in (np.array(first), np.array(second))
    ]
    scale = float(np.sqrt((signs[0] ** 2).sum() * (signs[1] ** 2).sum()))
    return float((signs[0] * signs[1]).sum()) / scale if scale else None
