"""What a method is worth in labels: area under the curve, label equivalence (R4.9a, R4.9b)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.stats.intervals import LEVEL, Folds
from bench.stats.ranking import draw_seed, joint_draws

BEYOND = {"": "", "<": "less than ", ">": "more than "}
FEWEST_DRAWS = 3  # of a label equivalence


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of labels, in the unit of the curve.

    `side` is "<" or ">" where the curve ends before it reaches the score; `labelled` is then the
    end of the curve.
    """

    labelled: float
    side: Literal["", "<", ">"] = ""


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Labels with which the reference scores as well as the method, with the 95% interval.

    `lo` and `hi` are None with one patient.
    """

    estimate: Amount
    lo: Amount | None
    hi: Amount | None

    @property
    def says_something(self) -> bool:
        """Whether the interval has an end: otherwise any amount of labels is possible."""
        if self.lo is None or self.hi is None:
            return False
        return self.lo.side != "<" or self.hi.side != ">"


def area_table(labelled: Sequence[float], curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under the score over log(labelled), over the log range: m x n x s -> n x s (R4.9a).

    By the trapezoidal rule, in the unit of the score. The area is linear in the scores, so
    `intervals.mean_interval` of this table is its interval (R4.1), and such tables share draws as
    tables of scores do (R4.1b). A BenchError unless `labelled` has two or more amounts, positive
    and increasing.
    """
    logs = _checked_logs(labelled)
    area: NDArray[np.float64] = np.trapezoid(curve, logs, axis=0) / (logs[-1] - logs[0])
    return area


def label_equivalence(
    labelled: Sequence[float],
    curve: NDArray[np.float64],
    method: NDArray[np.float64],
    higher_is_better: bool,
    folds: Folds = None,
) -> Equivalence:
    """Labels at which the reference reaches the method's score, in the unit of `labelled` (R4.9b).

    `curve` (m x n x s) holds the scores of the reference at those m amounts, `method` (n x s) the
    method's at one budget, over the same patients and subsets. The interval comes from `DRAWS`
    joint draws of the m + 1 true means, as for ranks (R4.2). With outer folds, differences vary as
    the means of folds do (R4.1c). A BenchError as for `area_table`.
    """
    logs = _checked_logs(labelled)
    sign = 1 if higher_is_better else -1
    tables = np.concatenate([curve, method[None]]) * sign
    means = tables.mean((1, 2))[None]
    estimate = _amount_of_log(float(_logs_at_score(logs, means)[0]), logs)
    if method.shape[0] < 2:
        return Equivalence(estimate, None, None)
    seed = draw_seed(["label equivalence", *map(str, labelled)], tables.shape)
    drawn = _logs_at_score(logs, joint_draws(tables, seed, folds=folds))
    outside = (1 - LEVEL) / 2
    # Some are infinite, between which nothing can be interpolated.
    lo, hi = np.quantile(drawn, [outside, 1 - outside], method="inverted_cdf")
    return Equivalence(
        estimate, lo=_amount_of_log(float(lo), logs), hi=_amount_of_log(float(hi), logs)
    )


def _checked_logs(labelled: Sequence[float]) -> NDArray[np.float64]:
    values = np.array(labelled, float)
    if len(values) < 2 or values[0] <= 0 or (np.diff(values) <= 0).any():
        raise BenchError(
            f"label amounts are {list(labelled)}; "
            "a curve needs two or more, positive and increasing"
        )
    return np.log(values)


def _amount_of_log(log: float, logs: NDArray[np.float64]) -> Amount:
    if log == -np.inf:
        return Amount(float(np.exp(logs[0])), "<")
    if log == np.inf:
        return Amount(float(np.exp(logs[-1])), ">")
    return Amount(float(np.exp(log)))


def _logs_at_score(logs: NDArray[np.float64], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """First log(labelled) at which the monotone curve reaches the score: B x (m + 1) -> B.

    The last column holds the score, the others the curve; more is better. -inf where the score
    lies below the curve's start, inf where it lies above its end.
    """
    curve = isotonic_fit(means[:, :-1])
    score = means[:, -1]
    slack = 1e-9 * np.ptp(means)  # the reference against itself ties but for rounding
    reached = curve >= score[:, None] - slack
    right = np.argmax(reached, 1)
    left = np.maximum(right - 1, 0)
    rows = np.arange(len(means))
    low = curve[rows, left]
    high = curve[rows, right]
    share = np.divide(score - low, high - low, out=np.zeros_like(score), where=high > low)
    log = logs[left] + np.clip(share, 0, 1) * (logs[right] - logs[left])
    log[score < curve[:, 0] - slack] = -np.inf
    log[~reached.any(1)] = np.inf
    return log


def isotonic_fit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares nondecreasing fit to each row (B x m), by the max-min formula.

    fit_j = max over a <= j of min over b >= j of mean(values a..b) (Barlow et al. 1972,
    Statistical Inference under Order Restrictions).
    """
    points = values.shape[1]
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, 1)], 1)
    fitted = np.full_like(values, -np.inf)
    for start in range(points):
        means = (sums[:, start + 1 :] - sums[:, [start]]) / np.arange(1, points - start + 1)
        smallest = np.minimum.accumulate(means[:, ::-1], 1)[:, ::-1]
        fitted[:, start:] = np.maximum(fitted[:, start:], smallest)
    return fitted


def describe_equivalence(equivalence: Equivalence, labelled: int, units: str) -> str:
    """What the labels of a method are worth, with amounts of labels as the unit of the curve.

    For example "worth 8 labelled patients instead of 4 (95% CI 5 to 14)".
    """
    estimate = _in_words(equivalence.estimate)
    worth = f"worth {estimate} labelled {units} instead of {labelled}"
    if estimate == str(labelled):
        worth = f"worth its own {labelled} labelled {units}"
    lo, hi = equivalence.lo, equivalence.hi
    if lo is None or hi is None or not equivalence.says_something:
        return worth
    if lo.side == hi.side != "":
        return f"{worth} (95% CI {_in_words(lo)})"
    if lo.side == "<":
        return f"{worth} (95% CI up to {_in_words(hi)})"
    if hi.side == ">":
        return f"{worth} (95% CI at least {_in_words(lo)})"
    return f"{worth} (95% CI {_in_words(lo)} to {_in_words(hi)})"


def _in_words(amount: Amount) -> str:
    return f"{BEYOND[amount.side]}{amount.labelled:.0f}"
