"""All pairs of many methods at once: mean squares of differences from products of tables.

A thousand methods have half a million pairs; a table of differences for each of them would take
gigabytes. The mean squares of a - b follow from products of a and b alone. They agree with those of
`intervals.mean_squares` but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.stats.intervals import LEVEL, MeanSquares, combine_mean_squares
from bench.stats.moderation import Pool, moderate
from bench.stats.shared_variance import SharedVariance, supports_test

MANY = 150  # methods from which on pairs are computed here
Matrix = NDArray[np.float64]  # k k


def can_compute(shared: SharedVariance, labels: Sequence[str]) -> bool:
    """Whether there are that many methods, with more than one patient and draw."""
    return len(labels) > MANY and min(shared.shape) > 1 and shared.folds is None


def variances_of_all_pairs(shared: SharedVariance, labels: Sequence[str]) -> tuple[Matrix, Matrix]:
    """Variance and degrees of freedom (k k) of the mean difference of each two labels."""
    tables = np.stack([shared.tables[label].table for label in labels])
    squares = _mean_squares_of_pairs(tables)
    pools = _pools(shared, labels)
    variance = np.empty(squares.case.shape)
    freedom = np.empty(squares.case.shape)
    patients, draws = shared.shape
    for number, pool in enumerate(_kinds(shared)):
        chosen = pools == number
        of_chosen = MeanSquares(*(square[chosen] for square in squares))
        variance[chosen], freedom[chosen] = _combine(of_chosen, patients, draws, pool)
    return variance, freedom


def not_separated(shared: SharedVariance, best: str) -> frozenset[str]:
    """The labels that Holm's rule over all distinct pairs cannot tell from `best`."""
    distinct = sorted(set(shared.same_as.values()))
    adjusted = _holm(_p_values(shared, distinct))
    row = adjusted[distinct.index(shared.same_as[best])]
    tied = set()
    for label, p in zip(distinct, row, strict=True):
        if np.isnan(p) or p >= 1 - LEVEL:  # nan: not tested, or the method itself
            tied.add(label)
    return frozenset(label for label in shared.labels if shared.same_as[label] in tied)


def _p_values(shared: SharedVariance, labels: Sequence[str]) -> Matrix:
    """Two-sided p of "no difference" (k k); nan where it is not tested."""
    from scipy.special import stdtr

    means = np.array([shared.mean(label) for label in labels])
    variance, freedom = variances_of_all_pairs(shared, labels)
    difference = np.abs(means[:, None] - means[None])
    certain = np.where(difference > 0, np.inf, 0.0)
    t = np.divide(difference, np.sqrt(variance), out=certain, where=variance > 0)
    p: Matrix = 2 * stdtr(freedom, -t)
    pools = _pools(shared, labels)
    for number, pool in enumerate(_kinds(shared)):
        if not supports_test(pool, shared.shape[1]):
            p[pools == number] = np.nan
    np.fill_diagonal(p, np.nan)
    return p


def _holm(p: Matrix) -> Matrix:
    """P values (k k) adjusted by Holm's rule over all pairs that are tested."""
    first, second = np.triu_indices(len(p), 1)
    values = p[first, second]
    tested = np.flatnonzero(~np.isnan(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    values[order] = np.maximum.accumulate(np.minimum(1.0, factors * values[order]))
    adjusted = np.full_like(p, np.nan)
    adjusted[first, second] = values
    adjusted[second, first] = values
    return adjusted


def _combine(
    squares: MeanSquares, patients: int, draws: int, pool: Pool | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if pool is not None:
        return moderate(squares, patients, draws, pool.mean_square, pool.freedom(draws))
    variance, freedom = combine_mean_squares(squares, patients, draws, draws - 1)
    return variance, np.maximum(freedom, draws - 1)


def _kinds(shared: SharedVariance) -> tuple[Pool | None, ...]:
    """The pools that `_pools` numbers."""
    return None, shared.board_pool, shared.couples_pool or shared.board_pool


def _pools(shared: SharedVariance, labels: Sequence[str]) -> NDArray[np.int8]:
    """Number (k k) of the pool of each pair, as `SharedVariance` chooses it."""
    pooled = np.array([shared.tables[label].pooled for label in labels])
    numbers = np.outer(pooled, pooled).astype(np.int8)
    positions: dict[str, list[int]] = {}
    for position, label in enumerate(labels):
        positions.setdefault(shared.same_as[label], []).append(position)
    for couple in shared.couples:
        first, second = (positions.get(label, []) for label in couple)
        numbers[np.ix_(first, second)] *= 2
        numbers[np.ix_(second, first)] *= 2
    return numbers


def _mean_squares_of_pairs(tables: NDArray[np.float64]) -> MeanSquares:
    """MSc, MSs and MSe (k k) of the difference of each two tables (k n s)."""
    _, patients, draws = tables.shape
    of_patients = tables.mean(2, keepdims=True)
    of_draws = tables.mean(1, keepdims=True)
    whole = tables.mean((1, 2), keepdims=True)
    residuals = tables - of_patients - of_draws + whole
    return MeanSquares(
        draws * _squared_distances(of_patients - whole) / (patients - 1),
        patients * _squared_distances(of_draws - whole) / (draws - 1),
        _squared_distances(residuals) / ((patients - 1) * (draws - 1)),
    )


def _squared_distances(tables: NDArray[np.float64]) -> Matrix:
    """Squared distance (k k) of each two tables; what is left of equal ones by rounding is 0."""
    flat = tables.reshape(len(tables), -1)
    products = flat @ flat.T
    own = np.diag(products)
    both = own[:, None] + own[None]
    distances: Matrix = both - 2 * products
    distances[distances < 1e-13 * both] = 0
    return distances
