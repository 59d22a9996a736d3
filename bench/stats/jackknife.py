"""Pseudo-values over patients for metrics that are no mean over cases, such as AUROC and macro F1 (protocol R4.2c)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import BenchError
from bench.metrics.classification import pairs_in_order


def pseudo_values(
    statistic: Callable[[NDArray[Any]], ArrayLike], cases: NDArray[Any], groups: Sequence[str]
) -> NDArray[np.float64]:
    """Jackknife over patients: n * all - (n - 1) * all but one, n patients (sorted) x s subsets (R4.2c).

    `statistic` takes any selection of `cases` (first axis) and gives one value, or one for each subset; `groups` names
    the patient of each case. The mean of the table is the jackknife estimate, which can differ from
    `statistic(cases)` by its bias.
    """
    names, patient = np.unique(np.asarray(groups), return_inverse=True)
    whole = np.atleast_1d(np.asarray(statistic(cases), float))
    if len(names) < 2:
        return whole[None]
    left_out = np.stack(
        [np.atleast_1d(statistic(cases[patient != number])) for number in range(len(names))]
    )
    return _pseudo(whole, left_out)


def pseudo_values_of_sums(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The same for a function of sums over patients (a ratio, macro F1): counts (n, s, ...) -> n x s, without a loop.

    `statistic` maps (..., s, *rest) to (..., s), as `accuracy`, `balanced_accuracy` and `macro_f1` do.
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
