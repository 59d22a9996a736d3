"""Classification metrics of whole test sets: accuracies and F1 from counts, ordered pairs of AUROC.

Metrics that are functions of sums take the counts themselves, so that `bench.stats.jackknife` can
leave patients out without a loop.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.metrics.calibration import BINS, bin_numbers, error_of_sums

Floats = NDArray[np.float64]


def confusion_counts(
    truth: NDArray[np.intp], predicted: NDArray[np.intp], groups: Sequence[str], classes: int
) -> Floats:
    """Number of cases of each patient by true and by predicted class.

    truth (N), predicted (N x s subsets), patient of each case (N) -> n patients (sorted by name),
    s, true class, predicted class.
    """
    names, patient = np.unique(np.asarray(groups), return_inverse=True)
    subsets = predicted.shape[1]
    counts = np.zeros((len(names), subsets, classes, classes))
    places = (patient[:, None], np.arange(subsets), truth[:, None], predicted)
    np.add.at(counts, places, 1)
    return counts


def accuracy(counts: Floats) -> Floats:
    """Share of cases that are classified correctly, from counts (..., true, predicted) -> (...)."""
    return np.asarray(np.trace(counts, axis1=-2, axis2=-1) / counts.sum((-2, -1)))


def balanced_accuracy(counts: Floats) -> Floats:
    """Mean over classes of the recall TP / (TP + FN), from counts (..., true, predicted) -> (...).

    Classes without a true case have no recall and are left out of the mean.
    """
    correct = np.diagonal(counts, axis1=-2, axis2=-1)
    return _mean_of_classes(correct, counts.sum(-1))


def macro_f1(counts: Floats) -> Floats:
    """Mean over classes of F1 = 2TP / (2TP + FP + FN), from counts (..., true, predicted) -> (...).

    Classes that neither occur nor are predicted have no F1 and are left out of the mean.
    """
    correct = np.diagonal(counts, axis1=-2, axis2=-1)
    return _mean_of_classes(2 * correct, counts.sum(-1) + counts.sum(-2))


def calibration_sums(
    truth: NDArray[np.intp], probabilities: Floats, groups: Sequence[str]
) -> Floats:
    """What calibration is computed from, summed over the cases of each patient.

    truth (N), probabilities (N x s subsets x K), patient of each case (N) -> n patients (sorted by
    name), s, 3 BINS + 1: by bin of the highest probability how many cases there are, the sum of
    these probabilities, and how many are correct; then the squared differences of the Brier score.
    """
    names, patient = np.unique(np.asarray(groups), return_inverse=True)
    subsets = probabilities.shape[1]
    highest = probabilities.max(-1)
    correct = probabilities.argmax(-1) == truth[:, None]
    happened = np.eye(probabilities.shape[2])[truth]
    squared = ((probabilities - happened[:, None]) ** 2).sum(-1)
    numbers = bin_numbers(highest)
    sums = np.zeros((len(names), subsets, 3 * BINS + 1))
    draws = np.arange(subsets)
    for place, weight in enumerate((np.ones_like(highest), highest, correct)):
        np.add.at(sums, (patient[:, None], draws, place * BINS + numbers), weight)
    np.add.at(sums[..., -1], (patient[:, None], draws), squared)
    return sums


def brier_score(sums: Floats) -> Floats:
    """Mean over cases of the squared differences, summed over the labels: 0 to 2 (Brier 1950)."""
    cases = sums[..., :BINS].sum(-1)
    return np.asarray(sums[..., -1] / cases)


def calibration_error(sums: Floats) -> Floats:
    """Expected calibration error of the predicted label (Guo et al. 2017, arXiv 1706.04599)."""
    return error_of_sums(sums[..., :-1].reshape(*sums.shape[:-1], 3, BINS))


def _mean_of_classes(numerators: Floats, denominators: Floats) -> Floats:
    """Mean ratio over the last axis, of the classes whose denominator is above 0."""
    defined = denominators > 0
    ratios = np.divide(numerators, denominators, out=np.zeros_like(denominators), where=defined)
    return np.asarray(ratios.sum(-1) / defined.sum(-1))


def auroc(scores: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Area under the ROC curve of each subset: scores (N cases x s), positive (N) -> (s).

    It is the share of pairs (positive, negative) in which the positive case has the higher score;
    equal scores count half (Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747). A
    BenchError where either class has no case.
    """
    pairs = np.count_nonzero(positive) * np.count_nonzero(~positive)
    if not pairs:
        raise BenchError(f"AUROC needs cases of both classes; all {len(positive)} are of one")
    in_order = [pairs_in_order(column, positive)[positive].sum() for column in scores.T]
    return np.array(in_order) / pairs


def pairs_in_order(scores: Floats, positive: NDArray[np.bool_]) -> Floats:
    """For each case (N), the number of cases of the other class that it is ordered correctly with.

    A pair is in order where the positive case has the higher score; equal scores count half. The
    sum over the positive cases equals that over the negative ones: it is the number of all pairs
    in order.
    """
    high = scores[positive]
    low = scores[~positive]
    in_order = np.empty(len(scores))
    in_order[positive] = count_pairs_in_order(np.sort(low), high)
    in_order[~positive] = len(high) - count_pairs_in_order(np.sort(high), low)
    return in_order


def count_pairs_in_order(ordered: Floats, values: Floats) -> Floats:
    """How many of the ordered numbers (M) lie below each value (N); equal ones count half."""
    below = np.searchsorted(ordered, values, "left")
    not_above = np.searchsorted(ordered, values, "right")
    return np.asarray((below + not_above) / 2)
