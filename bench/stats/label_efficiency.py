"""What a method is worth in labels: area under the label curve, and the labels that the reference would need. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.stats.intervals import LEVEL
from bench.stats.ranking import joint_draws, seed_of


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of labels, in the unit of the curve; `side` "<" or ">" where the curve ends before the score."""

    labelled: float
    side: Literal["", "<", ">"] = ""


@dataclass(frozen=True, slots=True)
class Equivalence:
    """The labels with which the reference scores as the method does, with its 95% interval; none with one patient."""

    estimate: Amount
    lo: Amount | None
    hi: Amount | None


def area_table(labelled: Sequence[float], curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under the score over log(labelled), over the log range: m x n x s -> n x s, in the score's unit (R4.9a).

    The area is linear in the scores, so `statistics.interval` of this table is its R4.1 interval, and differences of
    two such tables are paired.
    """
    logs = _logs(labelled)
    area: NDArray[np.float64] = np.trapezoid(curve, logs, axis=0) / (logs[-1] - logs[0])
    return area


def label_equivalence(
    labelled: Sequence[float],
    curve: NDArray[np.float64],
    method: NDArray[np.float64],
    higher_is_better: bool,
) -> Equivalence:
    """Labels at which the reference reaches the method's score (R4.9b), in the unit of `labelled` (increasing, > 0).

    `curve` (m x n x s) holds the reference at those labels, `method` (n x s) the method at one budget, all over the
    same patients and subsets. The interval is that of 2000 joint draws of the m + 1 true means, as for ranks (R4.2).
    """
    logs = _logs(labelled)
    tables = np.concatenate([curve, method[None]]) * (1 if higher_is_better else -1)
    means = tables.mean((1, 2))[None]
    estimate = _amount(float(_reached(logs, means)[0]), logs)
    if method.shape[0] < 2:
        return Equivalence(estimate, None, None)
    draws = joint_draws(tables, seed_of(["label equivalence", *map(str, labelled)], tables.shape))
    outside = (1 - LEVEL) / 2
    lo, hi = np.quantile(
        _reached(logs, draws), [outside, 1 - outside], method="inverted_cdf"
    )  # some are infinite
    return Equivalence(estimate, _amount(float(lo), logs), _amount(float(hi), logs))


def _logs(labelled: Sequence[float]) -> NDArray[np.float64]:
    values = np.array(labelled, float)
    if len(values) < 2 or values[0] <= 0 or (np.diff(values) <= 0).any():
        raise BenchError(
            f"label amounts are {list(labelled)}; a curve needs two or more, positive and increasing"
        )
    return np.log(values)


def _amount(log: float, logs: NDArray[np.float64]) -> Amount:
    if np.isinf(log):
        return (
            Amount(float(np.exp(logs[0])), "<") if log < 0 else Amount(float(np.exp(logs[-1])), ">")
        )
    return Amount(float(np.exp(log)))


def _reached(logs: NDArray[np.float64], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """First log(labelled) at which the curve, made monotone, reaches the score: B x (m + 1) -> B.

    The last column is the score, the others the curve. -inf below the lowest amount, inf above the highest.
    """
    curve, score = isotonic(means[:, :-1]), means[:, -1]
    slack = 1e-9 * np.ptp(means)  # the reference against itself ties up to rounding
    above = curve >= score[:, None] - slack
    right = np.argmax(above, 1)
    left = np.maximum(right - 1, 0)
    lines = np.arange(len(means))
    low, high = curve[lines, left], curve[lines, right]
    share = np.divide(score - low, high - low, out=np.zeros_like(score), where=high > low)
    found = logs[left] + np.clip(share, 0, 1) * (logs[right] - logs[left])
    found[score < curve[:, 0] - slack] = -np.inf
    found[~above.any(1)] = np.inf
    return found


def isotonic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares nondecreasing fit to each row (B x m): max over a <= j of min over b >= j of mean(values a..b)."""
    points = values.shape[1]
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, 1)], 1)
    fitted = np.full_like(values, -np.inf)
    for a in range(points):
        means = (sums[:, a + 1 :] - sums[:, [a]]) / np.arange(1, points - a + 1)
        from_here = np.minimum.accumulate(means[:, ::-1], 1)[:, ::-1]
        fitted[:, a:] = np.maximum(fitted[:, a:], from_here)
    return fitted


def in_words(found: Equivalence) -> str:
    """'23% [17, 31]' from fractions of the labels; ends beyond the curve are said."""

    def words(amount: Amount, unit: str) -> str:
        beyond = {"": "", "<": "less than ", ">": "more than "}[amount.side]
        percent = 100 * amount.labelled
        return f"{beyond}{percent:{'.0f' if percent >= 10 else '.2g'}}{unit}"

    if found.lo is None or found.hi is None:
        return words(found.estimate, "%")
    return f"{words(found.estimate, '%')} [{words(found.lo, '')}, {words(found.hi, '')}]"
