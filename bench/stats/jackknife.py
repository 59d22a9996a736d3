"""Pseudo-values over patients for metrics that are no mean over cases, such as AUROC and macro F1 (protocol R4.2c)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.metrics.classification import pairs_in_order


def pseudo_values_of_sums(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Jackknife over patients: n * all - (n - 1) * all but one, counts (n, s, ...) -> n patients x s subsets (R4.2c).

    For functions of sums over patients, such as a ratio or macro F1. The mean of the table is the jackknife estimate,
    which can differ from the statistic of all patients by its bias. `statistic` maps (..., s, *rest) to (..., s), as `accuracy`, `balanced_accuracy` and `macro_f1` do.
    """
    total = counts.sum(0)
    return (
        _pseudo(statistic(total), statistic(total - counts))
        if len(counts) > 1
        else statistic(counts)
    )


def auroc_pseudo_values(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], groups: Sequence[str]
) -> NDArray[np.float64]:
    """The same for the area under the ROC curve: scores (N cases x s), positive (N) -> n patients x s.

    Counts pairs (positive, negative) that are in order, ties half, and takes those of one patient away.
    """
    names, patient = np.unique(np.asarray(groups), return_inverse=True)
    count = np.stack(
        [np.bincount(patient[side], minlength=len(names)) for side in (positive, ~positive)]
    )
    columns = [pairs_in_order(column, positive, patient, len(names)) for column in scores.T]
    whole = np.array([won for won, _ in columns])
    kept = whole - np.stack([taken for _, taken in columns], 1)
    pairs = count.sum(1).prod()
    pairs_kept = (count.sum(1, keepdims=True) - count).prod(0)
    if pairs == 0 or (len(names) > 1 and (pairs_kept == 0).any()):
        raise BenchError(
            "AUROC is undefined without some patient; the test set needs two patients of each class"
        )
    return (
        _pseudo(whole / pairs, kept / pairs_kept[:, None])
        if len(names) > 1
        else (whole / pairs)[None]
    )


def _pseudo(whole: NDArray[np.float64], left_out: NDArray[np.float64]) -> NDArray[np.float64]:
    patients = len(left_out)
    return patients * whole - (patients - 1) * left_out
