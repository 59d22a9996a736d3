"""Variances of differences, moderated by what all methods of a board tell of draws (R4.1b)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.stats.intervals import (
    Folds,
    MeanSquares,
    combine_mean_squares,
    fold_count,
    mean_square_of_folds,
    mean_squares,
)

# Weight of the pool, in degrees of freedom. Simulations (tests/stats/test_shared_simulated.py)
# keep close to 95% with it, whether methods react to draws alike or not.
PRIOR_FREEDOM = 4


@dataclass(frozen=True, slots=True)
class Pool:
    """A mean square of draws, or of outer folds, that independent comparisons have in common."""

    mean_square: float
    comparisons: int

    def freedom(self, draws: int) -> float:
        """Degrees of freedom with that many draws, or outer folds."""
        return self.comparisons * (draws - 1)


def pooled_mean_square(tables: NDArray[np.float64], folds: Folds = None) -> NDArray[np.float64]:
    """Pooled mean square of draws of a difference over k methods: (..., k, n, s) -> (...).

    It is 2 n sum(e^2) / ((k - 1)(s - 1)), with e the draw means centred over methods and draws:
    the mean of MSs over the differences of all pairs. k, s > 1. With outer folds it is the mean of
    MSf over these.
    """
    methods, patients, draws = tables.shape[-3:]
    if fold_count(folds) > 1:
        of_methods = mean_square_of_folds(tables - tables.mean(-3, keepdims=True), folds)
        return np.asarray(2 * of_methods.sum(-1) / (methods - 1))
    draw_means = tables.mean(-2)
    centred = draw_means - draw_means.mean(-1, keepdims=True)
    centred = centred - centred.mean(-2, keepdims=True)
    square_sum = (centred**2).sum((-2, -1))
    return np.asarray(2 * patients * square_sum / ((methods - 1) * (draws - 1)))


def freedom_of_draws(draws: int, pool_freedom: float) -> float:
    """Degrees of freedom of a moderated mean square of draws: min(4 + s - 1, those of its pool)."""
    return min(PRIOR_FREEDOM + draws - 1, pool_freedom)


def moderated_variances(
    differences: NDArray[np.float64],
    pooled_square: float | NDArray[np.float64],
    pool_freedom: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variance and degrees of freedom of the mean of each table of differences (..., n x s).

    MSs is replaced by (4 pool + (s - 1) MSs) / (4 + s - 1); R4.1 then holds with its degrees of
    freedom, and the result has at least min(these, n - 1). n, s > 1; `pooled_square` is a number
    or has one for each table.
    """
    patients, draws = differences.shape[-2:]
    return moderate(mean_squares(differences), patients, draws, pooled_square, pool_freedom)


def moderate(
    squares: MeanSquares,
    patients: int,
    draws: int,
    pooled_square: float | NDArray[np.float64],
    pool_freedom: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same from the mean squares of the differences."""
    case, subset, residual = squares
    weighted = PRIOR_FREEDOM * np.asarray(pooled_square) + (draws - 1) * subset
    moderated = np.asarray(weighted / (PRIOR_FREEDOM + draws - 1))
    subset_freedom = freedom_of_draws(draws, pool_freedom)
    combined = MeanSquares(case, moderated, residual)
    variance, freedom = combine_mean_squares(combined, patients, draws, subset_freedom)
    return variance, np.maximum(freedom, min(subset_freedom, patients - 1))


def moderated_fold_variances(
    differences: NDArray[np.float64], pool: Pool, folds: Folds
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variance and degrees of freedom of the mean of each table of differences (..., n x s).

    In F outer folds (R4.1c): Var = (4 pool + (F - 1) MSf) / (4 + F - 1) / (n s), F > 1.
    """
    patients, draws = differences.shape[-2:]
    count = fold_count(folds)
    own_square = mean_square_of_folds(differences, folds)
    weighted = PRIOR_FREEDOM * pool.mean_square + (count - 1) * own_square
    variance = weighted / (PRIOR_FREEDOM + count - 1) / (patients * draws)
    freedom = freedom_of_draws(count, pool.freedom(count))
    return variance, np.full_like(variance, freedom)
