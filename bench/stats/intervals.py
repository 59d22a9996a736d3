"""Intervals and paired tests over a table of scores, patients x subsets.

Rule numbers are headings of docs/protocol.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
# Below these numbers an interval is wide and its coverage is uneven (R4.2b).
FEW_PATIENTS = 8
FEW_SUBSETS = 3
# P(A > B) from which a win is called meaningful (Bouthillier et al. 2021, arXiv 2103.03098).
MEANINGFUL = 0.75


# Below this number of draws a mean has no interval: with 3 draws, the narrowest quarter of the
# intervals covers the truth in 64 to 74% of repetitions only.
FEWEST_DRAWS_OF_MEAN = 5
FEW_DRAWS = "few draws"  # kind of a mean that has too few draws for an interval


# The number of the outer fold that each of n patients is tested in; None without outer folds.
Folds = NDArray[np.intp] | None


class MeanSquares(NamedTuple):
    """Mean squares of two-way tables: of patients, of subsets, and of the residual."""

    case: NDArray[np.float64]
    subset: NDArray[np.float64]
    residual: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95% interval.

    `kind` says what the interval covers: "two-way", "wide", "cases only" or "subsets only". It is
    "" where a single patient gives no interval, and "few draws" where a mean of few draws has
    none; `lo` and `hi` are then None.
    """

    mean: float
    lo: float | None
    hi: float | None
    kind: str


def mean_interval(scores: NDArray[np.float64], folds: Folds = None) -> Interval:
    """95% interval of the mean of scores (n patients x s subsets) by crossed random effects (R4.1).

    It is mean +- t(df) * standard error, with both from `standard_error`. With outer folds, each
    has s subsets of its own (R4.1c).
    """
    from scipy.special import stdtrit

    patients, subsets = scores.shape
    mean = float(scores.mean())
    if patients < 2:
        return Interval(mean, None, None, "")
    error, freedom = standard_error(scores, folds)
    half_width = float(stdtrit(freedom, 0.5 + LEVEL / 2)) * error
    kind = _interval_kind(patients, subsets * fold_count(folds))
    return Interval(mean, mean - half_width, mean + half_width, kind)


def has_interval_of_mean(subsets: int) -> bool:
    """Whether that many draws say enough about the variance between draws for a mean's interval.

    All methods share their draws, so that other methods add next to nothing about a mean. A
    difference of two methods is better known (`shared_variance`).
    """
    return subsets >= FEWEST_DRAWS_OF_MEAN


def mean_with_interval_if_known(scores: NDArray[np.float64], folds: Folds = None) -> Interval:
    """The mean of scores (n x s), with its interval only from 5 draws on, of all folds together."""
    interval = mean_interval(scores, folds)
    if has_interval_of_mean(scores.shape[1] * fold_count(folds)):
        return interval
    return Interval(interval.mean, None, None, FEW_DRAWS)


def _interval_kind(patients: int, subsets: int) -> str:
    if subsets == 1:
        return "cases only"
    if subsets < FEW_SUBSETS or patients < FEW_PATIENTS:
        return "wide"
    return "two-way"


def kind_of_difference(patients: int, subsets: int, is_tested: bool) -> str:
    """The kind of the interval of a difference whose draw variance is shared by all methods.

    It is "wide" with few patients, and where too little is known about draws for a test.
    """
    if patients < 2:
        return ""
    if subsets == 1:
        return "cases only"
    return "two-way" if is_tested and patients >= FEW_PATIENTS else "wide"


def interval_over_subsets(values: NDArray[np.float64]) -> Interval:
    """The mean of one value per subset (s), with its 95% t interval only from 5 subsets on.

    For metrics of whole image sets (R4.2c), such as Fréchet distances and KID: no patient has a
    value of their own.
    """
    over_values = mean_interval(values[:, None])
    if has_interval_of_mean(len(values)):
        return replace(over_values, kind="subsets only")
    return Interval(over_values.mean, None, None, FEW_DRAWS)


def standard_error(scores: NDArray[np.float64], folds: Folds = None) -> tuple[float, float]:
    """Standard error of the mean of one table (n x s), n > 1, and its degrees of freedom (R4.1)."""
    variance, freedom = variances_of_means(scores, folds)
    return float(variance**0.5), float(freedom)


def variances_of_means(
    tables: NDArray[np.float64],
    folds: Folds = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variance and degrees of freedom of the mean of each table (..., n x s), n > 1 (R4.1).

    The tables hold n patients under s subsets. With s > 1, patients and subsets are both random:
    Var = max(MSc + MSs - MSe, MSc, MSs) / (n s), with the mean squares of `mean_squares` and the
    degrees of freedom of Satterthwaite (1946, doi 10.2307/3002019), but at least s - 1. With one
    subset it is the variance over patients, with n - 1 degrees of freedom. With F > 1 outer folds
    it is that between folds, with F - 1 (R4.1c).
    """
    patients, subsets = tables.shape[-2:]
    count = fold_count(folds)
    if count > 1:
        variance = mean_square_of_folds(tables, folds) / (patients * subsets)
        return variance, np.full_like(variance, count - 1)
    if subsets == 1:
        variance = np.asarray(tables[..., 0].var(-1, ddof=1) / patients)
        return variance, np.full_like(variance, patients - 1)
    squares = mean_squares(tables)
    variance, freedom = combine_mean_squares(squares, patients, subsets, subsets - 1)
    return variance, np.maximum(freedom, subsets - 1)


def fold_count(folds: Folds) -> int:
    """How many outer folds the patients are tested in; 1 without outer folds."""
    return 1 if folds is None else len(np.unique(folds))


def mean_square_of_folds(tables: NDArray[np.float64], folds: Folds) -> NDArray[np.float64]:
    """Mean square between folds of each table (..., n x s), with F - 1 degrees of freedom; F > 1.

    All that varies is in it: patients, draws and what the draws of a fold have in common.
    """
    whole = tables.mean((-2, -1))
    total = np.zeros_like(whole)
    for fold in np.unique(np.asarray(folds)):
        of_fold = tables[..., folds == fold, :]
        scores = of_fold.shape[-2] * of_fold.shape[-1]
        total = total + scores * (of_fold.mean((-2, -1)) - whole) ** 2
    return np.asarray(total / (fold_count(folds) - 1))


def combine_mean_squares(
    squares: MeanSquares, patients: int, subsets: int, subset_freedom: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variance of a mean, and Satterthwaite's degrees of freedom, from its mean squares (R4.1).

    `subset_freedom` is that of MSs: s - 1, or more where other tables helped to estimate it. The
    degrees of freedom have no lower bound here. They are infinite without any variance.
    """
    case, subset, residual = squares
    both = case + subset - residual
    variance = np.maximum(both, np.maximum(case, subset)) / (patients * subsets)
    spread = (
        case**2 / (patients - 1)
        + subset**2 / subset_freedom
        + residual**2 / ((patients - 1) * (subsets - 1))
    )
    freedom = np.divide(both**2, spread, out=np.full_like(spread, np.inf), where=spread > 0)
    return variance, freedom


def mean_squares(tables: NDArray[np.float64]) -> MeanSquares:
    """Mean squares of patients, of subsets and of the residual: MSc, MSs, MSe of each table.

    Of two-way tables without replication (..., n patients, s subsets), with n, s > 1 (R4.1).
    """
    patients, subsets = tables.shape[-2:]
    row_means = tables.mean(-1, keepdims=True)
    column_means = tables.mean(-2, keepdims=True)
    residuals = tables - row_means - column_means + tables.mean((-2, -1), keepdims=True)
    case = np.asarray(subsets * row_means[..., 0].var(-1, ddof=1))
    subset = np.asarray(patients * column_means[..., 0, :].var(-1, ddof=1))
    residual = np.asarray((residuals**2).sum((-2, -1)) / ((patients - 1) * (subsets - 1)))
    return MeanSquares(case, subset, residual)


def t_statistics(
    differences: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """t = mean / standard error of each table of paired differences (..., n, s), and its df.

    t is 0 with one patient, where no error can be computed, and plus or minus infinity where
    differences do not vary but are not 0.
    """
    mean = np.asarray(differences.mean((-2, -1)))
    if differences.shape[-2] < 2:
        return np.zeros_like(mean), np.ones_like(mean)
    variance, freedom = variances_of_means(differences)
    without_variance = np.where(mean == 0, 0.0, np.copysign(np.inf, mean))
    t = np.divide(mean, np.sqrt(variance), out=without_variance, where=variance > 0)
    return t, freedom


def p_value(difference: NDArray[np.float64]) -> float:
    """Two-sided p of "no difference" for one table (n x s) of paired differences."""
    return float(p_values(difference))


def p_values(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two-sided p of "no difference" for each table of paired differences (..., n, s).

    From the t distribution with the degrees of freedom of R4.1; 1 with one patient.
    """
    from scipy.special import stdtr

    t, freedom = t_statistics(differences)
    return np.asarray(2 * stdtr(freedom, -np.abs(t)))


def false_outperformance(difference: NDArray[np.float64]) -> float:
    """P(true mean of A - B <= 0) given the paired differences of A and B (R4.5).

    `difference` (n x s) is positive where A is better. With one subset this is the formula of
    Christodoulou et al. 2025 (arXiv 2505.04720).
    """
    from scipy.special import stdtr

    t, freedom = t_statistics(difference)
    return float(stdtr(freedom, -t))


def probability_of_superiority(difference: NDArray[np.float64]) -> float:
    """P(A > B) over pairs (patient, subset), with ties counted half (R4.6).

    `difference` (n x s) is positive where A is better. From `MEANINGFUL` on, a win is called
    meaningful.
    """
    wins = np.count_nonzero(difference > 0) + np.count_nonzero(difference == 0) / 2
    return float(wins / difference.size)


def superiority_interval(
    difference: NDArray[np.float64], folds: Folds = None
) -> tuple[float, float] | None:
    """95% interval of P(A > B): R4.1 on 1 for each pair (patient, subset) won and 0.5 for ties.

    `difference` (n x s) is positive where A is better; ends are cut at 0 and 1. None with one
    patient, and where all pairs are equal, which says nothing about the next one.
    """
    wins = np.where(difference > 0, 1.0, 0.0) + np.where(difference == 0, 0.5, 0.0)
    interval = mean_interval(wins, folds)
    if interval.lo is None or interval.hi is None or not np.ptp(wins):
        return None
    return max(0.0, interval.lo), min(1.0, interval.hi)


def holm_adjusted(values: Sequence[float]) -> list[float]:
    """P values adjusted by Holm's step-down rule for testing all of them, in the given order.

    The k-th smallest of m is multiplied by m - k + 1, cut at 1, and raised to the adjusted value
    before it where that is larger (Holm 1979, Scandinavian Journal of Statistics 6, p. 65).
    """
    adjusted = [0.0] * len(values)
    largest_so_far = 0.0
    from_smallest = sorted(range(len(values)), key=lambda index: values[index])
    for position, index in enumerate(from_smallest):
        corrected = min(1.0, (len(values) - position) * values[index])
        largest_so_far = max(largest_so_far, corrected)
        adjusted[index] = largest_so_far
    return adjusted


def best_first(scores: Mapping[str, NDArray[np.float64]], higher_is_better: bool) -> list[str]:
    """Names of the methods from the best mean to the worst; equal means by name."""
    sign = 1 if higher_is_better else -1
    return sorted(scores, key=lambda name: (-sign * float(scores[name].mean()), name))


def tie_groups(scores: Mapping[str, NDArray[np.float64]], names: Sequence[str]) -> dict[str, int]:
    """Number of the tie group (1, 2, ...) of each method; `names` has the best method first (R4.3).

    A group holds its best method and those whose Holm-adjusted p against it is 5% or more.
    """
    groups: dict[str, int] = {}
    remaining = list(names)
    number = 0
    while remaining:
        number += 1
        top = remaining[0]
        others = remaining[1:]
        adjusted = holm_adjusted(_p_values_against(scores, top, others))
        groups[top] = number
        for other, p in zip(others, adjusted, strict=True):
            if p >= 1 - LEVEL:
                groups[other] = number
        remaining = [name for name in remaining if name not in groups]
    return groups


def _p_values_against(
    scores: Mapping[str, NDArray[np.float64]], top: str, others: Sequence[str]
) -> list[float]:
    if not others:
        return []
    differences = np.stack([scores[top] - scores[other] for other in others])
    return [float(p) for p in p_values(differences)]
