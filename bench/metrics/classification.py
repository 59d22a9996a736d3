"""Classification metrics of whole test sets: counts of a confusion matrix, ordered pairs of AUROC. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def confusion(
    truth: NDArray[np.intp], predicted: NDArray[np.intp], groups: Sequence[str], classes: int
) -> NDArray[np.float64]:
    """Cases of each patient by true and predicted class: truth (N), predicted (N x s) -> (n, s, classes, classes)."""
    names, patient = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((len(names), predicted.shape[1], classes, classes))
    np.add.at(
        counts, (patient[:, None], np.arange(predicted.shape[1]), truth[:, None], predicted), 1
    )
    return counts


def accuracy(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of cases that are right, from confusion counts (..., true, predicted)."""
    return np.asarray(np.trace(counts, axis1=-2, axis2=-1) / counts.sum((-2, -1)))


def balanced_accuracy(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean recall of the classes that occur, from confusion counts (..., true, predicted)."""
    return _class_mean(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1))


def macro_f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of 2TP / (2TP + FP + FN) of the classes that occur or are predicted, from counts (..., true, predicted)."""
    return _class_mean(2 * np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1) + counts.sum(-2))


def _class_mean(over: NDArray[np.float64], under: NDArray[np.float64]) -> NDArray[np.float64]:
    there = under > 0
    shares = np.divide(over, under, out=np.zeros_like(under), where=there)
    return np.asarray(shares.sum(-1) / there.sum(-1))


def pairs_in_order(
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    patient: NDArray[np.intp],
    patients: int,
) -> tuple[float, NDArray[np.float64]]:
    """Pairs in order over all cases, and those that each patient (n) takes part in."""
    high, low = scores[positive], scores[~positive]
    below = _rank_among(np.sort(low), high)  # negatives below each positive
    above = len(high) - _rank_among(np.sort(high), low)  # positives above each negative
    taken = np.zeros(patients)
    np.add.at(taken, patient[positive], below)
    np.add.at(taken, patient[~positive], above)
    for both in np.intersect1d(patient[positive], patient[~positive]):  # own pairs were taken twice
        own = _rank_among(np.sort(low[patient[~positive] == both]), high[patient[positive] == both])
        taken[both] -= own.sum()
    return float(below.sum()), taken


def _rank_among(ordered: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many of the ordered numbers lie below each value; equal ones count half."""
    return (
        np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    ) / 2
