"""Intervals, tests and ranks over a matrix of scores, patients x subsets. Pure; formulas in docs/protocol.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
FEW_PATIENTS, FEW_SUBSETS = (
    8,
    3,
)  # below these an interval is wide and its coverage uneven (protocol R4.2b)
MEANINGFUL = 0.75  # P(A > B) from which a win is called meaningful (Bouthillier et al. 2021, arXiv 2103.03098)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95% interval; `kind` says what it covers."""

    mean: float
    lo: float | None
    hi: float | None
    kind: str  # "two-way", "wide", "cases only", "subsets only", "" where one patient (or value) gives none


def interval(scores: NDArray[np.float64]) -> Interval:
    """95% interval of the mean of scores (n patients x s subsets) by crossed random effects (protocol R4.1)."""
    from scipy.special import stdtrit

    patients, subsets = scores.shape
    mean = float(scores.mean())
    if patients < 2:
        return Interval(mean, None, None, "")
    error, freedom = standard_error(scores)
    half = float(stdtrit(freedom, 0.5 + LEVEL / 2)) * error
    few = subsets < FEW_SUBSETS or patients < FEW_PATIENTS
    kind = "cases only" if subsets == 1 else "wide" if few else "two-way"
    return Interval(mean, mean - half, mean + half, kind)


def interval_over_subsets(values: NDArray[np.float64]) -> Interval:
    """95% t interval of one value per subset (s): for Fréchet distances and KID, which no patient has alone (R4.2c)."""
    found = interval(values[:, None])
    kind = "" if len(values) < 2 else "wide" if len(values) < FEW_SUBSETS else "subsets only"
    return replace(found, kind=kind)


def standard_error(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Standard error and degrees of freedom of the mean of one table, n patients x s subsets; see `variances`."""
    variance, freedom = variances(scores)
    return float(variance**0.5), float(freedom)


def variances(tables: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variance and degrees of freedom of the mean of each table (..., n patients, s subsets), n > 1 (R4.1).

    Patients and subsets both vary where s > 1: Var = max(MSc + MSs - MSe, MSc, MSs) / (n s); Satterthwaite degrees
    of freedom, at least s - 1. One subset: the variance over patients, n - 1.
    """
    patients, subsets = tables.shape[-2:]
    if subsets == 1:
        variance = np.asarray(tables[..., 0].var(-1, ddof=1) / patients)
        return variance, np.full_like(variance, patients - 1)
    case, subset, residual = mean_squares(tables)
    both = case + subset - residual
    variance = np.maximum(both, np.maximum(case, subset)) / (patients * subsets)
    spread = (
        case**2 / (patients - 1)
        + subset**2 / (subsets - 1)
        + residual**2 / ((patients - 1) * (subsets - 1))
    )
    freedom = np.divide(both**2, spread, out=np.full_like(spread, np.inf), where=spread > 0)
    return variance, np.maximum(freedom, subsets - 1)


def mean_squares(
    tables: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """MSc of patients, MSs of subsets and MSe of the rest, for each two-way table (..., n, s) without replication."""
    patients, subsets = tables.shape[-2:]
    rows, columns = tables.mean(-1, keepdims=True), tables.mean(-2, keepdims=True)
    rest = tables - rows - columns + tables.mean((-2, -1), keepdims=True)
    case = np.asarray(subsets * rows[..., 0].var(-1, ddof=1))
    subset = np.asarray(patients * columns[..., 0, :].var(-1, ddof=1))
    return case, subset, np.asarray((rest**2).sum((-2, -1)) / ((patients - 1) * (subsets - 1)))


def t_statistics(
    differences: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean over its standard error, and degrees of freedom, of each table of paired differences (..., n, s).

    0 where one patient gives no error; plus or minus infinity where the differences do not vary.
    """
    mean = np.asarray(differences.mean((-2, -1)))
    if differences.shape[-2] < 2:
        return np.zeros_like(mean), np.ones_like(mean)
    variance, freedom = variances(differences)
    unvarying = np.where(mean == 0, 0.0, np.copysign(np.inf, mean))
    return np.divide(mean, np.sqrt(variance), out=unvarying, where=variance > 0), freedom


def p_value(difference: NDArray[np.float64]) -> float:
    """Two-sided p of 'no difference' for paired differences (n patients x s subsets)."""
    return float(p_values(difference))


def p_values(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two-sided p of 'no difference' for each table of paired differences (..., n, s); 1 with one patient."""
    from scipy.special import stdtr

    t, freedom = t_statistics(differences)
    return np.asarray(2 * stdtr(freedom, -np.abs(t)))


def false_outperformance(difference: NDArray[np.float64]) -> float:
    """P(true mean of A - B <= 0) given its paired differences, n x s, positive where A is better (R4.5)."""
    from scipy.special import stdtr

    t, freedom = t_statistics(difference)
    return float(stdtr(freedom, -t))


def superiority(difference: NDArray[np.float64]) -> float:
    """P(A > B) over pairs (patient, subset), ties half, from differences positive where A is better (R4.6).

    A win is called meaningful from MEANINGFUL on.
    """
    wins = np.count_nonzero(difference > 0) + np.count_nonzero(difference == 0) / 2
    return float(wins / difference.size)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the given order."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for position, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - position) * p_values[index]))
        adjusted[index] = running
    return adjusted


def best_first(scores: Mapping[str, NDArray[np.float64]], higher_is_better: bool) -> list[str]:
    """Methods from the best mean to the worst; equal means by name."""
    sign = 1 if higher_is_better else -1
    return sorted(scores, key=lambda name: (-sign * float(scores[name].mean()), name))


def tie_groups(
    scores: Mapping[str, NDArray[np.float64]], best_first: Sequence[str]
) -> dict[str, int]:
    """Number the groups: each holds its best method and those with Holm-adjusted p >= 5% against it (R4.3)."""
    groups: dict[str, int] = {}
    left = list(best_first)
    while left:
        top, others = left[0], left[1:]
        adjusted = holm(_p_values(scores, [(top, other) for other in others]))
        tied = [top, *(other for other, p in zip(others, adjusted, strict=True) if p >= 1 - LEVEL)]
        number = len(set(groups.values())) + 1
        groups.update(dict.fromkeys(tied, number))
        left = [name for name in left if name not in groups]
    return groups


def _p_values(
    scores: Mapping[str, NDArray[np.float64]], pairs: Sequence[tuple[str, str]]
) -> list[float]:
    differences = [scores[a] - scores[b] for a, b in pairs]
    return [float(p) for p in p_values(np.stack(differences))] if differences else []
