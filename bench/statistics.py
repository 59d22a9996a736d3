"""Intervals, tests and ranks over a matrix of scores, patients x subsets. Pure; formulas in docs/protocol.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
FEW_PATIENTS, FEW_SUBSETS = 8, 3  # below these an interval is wide and its coverage uneven (protocol R4.2b)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95% interval; `kind` says what it covers."""

    mean: float
    lo: float | None
    hi: float | None
    kind: str  # "two-way", "wide", "cases only", "subsets only", "" where one value gives none


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
    """95% t interval of one value per subset (s): for Fréchet distances and KID, which no patient has (R4.2c)."""
    found = interval(values[:, None])
    kind = "" if len(values) < 2 else "wide" if len(values) < FEW_SUBSETS else "subsets only"
    return replace(found, kind=kind)


def standard_error(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Standard error and degrees of freedom of the mean; patients and subsets both vary where s > 1.

    Var = max(MSc + MSs - MSe, MSc, MSs) / (n s); Satterthwaite degrees of freedom, at least s - 1.
    """
    patients, subsets = scores.shape
    if subsets == 1:
        return float(scores.std(ddof=1)) / patients**0.5, patients - 1
    mean, rows, columns = scores.mean(), scores.mean(1), scores.mean(0)
    case = subsets * rows.var(ddof=1)
    subset = patients * columns.var(ddof=1)
    residual = ((scores - rows[:, None] - columns + mean) ** 2).sum() / ((patients - 1) * (subsets - 1))
    variance = max(case + subset - residual, case, subset) / (patients * subsets)
    spread = case**2 / (patients - 1) + subset**2 / (subsets - 1) + residual**2 / ((patients - 1) * (subsets - 1))
    freedom = (case + subset - residual) ** 2 / spread if spread > 0 else np.inf
    return float(variance**0.5), float(max(freedom, subsets - 1))


def p_value(difference: NDArray[np.float64]) -> float:
    """Two-sided p of 'no difference' for paired differences (n patients x s subsets)."""
    from scipy.special import stdtr

    if difference.shape[0] < 2:
        return 1.0
    error, freedom = standard_error(difference)
    if error == 0:
        return 1.0 if difference.mean() == 0 else 0.0
    return float(2 * stdtr(freedom, -abs(difference.mean()) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the given order."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for position, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - position) * p_values[index]))
        adjusted[index] = running
    return adjusted


@dataclass(frozen=True, slots=True)
class Rank:
    """Ranks that the data allow, and the tie group: methods not told from its best share one."""

    lo: int
    hi: int
    tie_group: int


def ranks(scores: Mapping[str, NDArray[np.float64]], higher_is_better: bool) -> dict[str, Rank]:
    """Rank range of each method: 1 + those surely better, to k - those surely worse (Holm over all pairs, 5%).

    All matrices are over the same patients and subsets.
    """
    sign = 1 if higher_is_better else -1
    names = sorted(scores, key=lambda name: (-sign * float(scores[name].mean()), name))
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    adjusted = holm([p_value(scores[a] - scores[b]) for a, b in pairs])
    beats = {pair for pair, p in zip(pairs, adjusted, strict=True) if p < 1 - LEVEL}
    groups = tie_groups(scores, names)
    return {
        name: Rank(
            1 + sum((other, name) in beats for other in names),
            len(names) - sum((name, other) in beats for other in names),
            groups[name],
        )
        for name in names
    }


def tie_groups(scores: Mapping[str, NDArray[np.float64]], best_first: Sequence[str]) -> dict[str, int]:
    """Number the groups: each holds its best method and those with Holm-adjusted p >= 5% against it (R4.3)."""
    groups: dict[str, int] = {}
    left = list(best_first)
    while left:
        top, others = left[0], left[1:]
        adjusted = holm([p_value(scores[top] - scores[other]) for other in others])
        tied = [top, *(other for other, p in zip(others, adjusted, strict=True) if p >= 1 - LEVEL)]
        number = len(set(groups.values())) + 1
        groups.update(dict.fromkeys(tied, number))
        left = [name for name in left if name not in groups]
    return groups
