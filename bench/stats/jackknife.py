"""Pseudo-values of patients for metrics that are not means over cases, such as macro F1 (R4.2c).

The pseudo-value of a patient is n * metric(all) - (n - 1) * metric(all but this patient), with n
patients (Miller 1974, doi 10.1093/biomet/61.1.1). A table of them feeds the intervals of R4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.metrics.classification import auroc, count_pairs_in_order, pairs_in_order


def pseudo_values_of_sums(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pseudo-values of a function of sums over patients: counts (n, s, ...) -> n patients x s.

    `statistic` maps (..., s, *rest) to (..., s), as `accuracy`, `balanced_accuracy` and `macro_f1`
    do. The mean of the table is the jackknife estimate, which can differ from the statistic of all
    patients by its bias. One patient has the statistic itself.
    """
    if len(counts) < 2:
        return statistic(counts)
    total = counts.sum(0)
    return _pseudo_values(statistic(total), statistic(total - counts))


def auroc_pseudo_values(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], groups: Sequence[str]
) -> NDArray[np.float64]:
    """Pseudo-values of the area under the ROC curve: N cases x s, (N), (N) -> n patients x s.

    `groups` names the patient of each case; the rows follow the sorted names. The pairs of each
    patient are subtracted from all pairs, so nothing is sorted anew for a patient. A BenchError
    where the area is undefined, also without some patient.
    """
    names, patient = np.unique(np.asarray(groups), return_inverse=True)
    patients = len(names)
    if patients < 2:
        return auroc(scores, positive)[None]
    sides = (positive, ~positive)
    cases = np.stack([np.bincount(patient[side], minlength=patients) for side in sides])
    pairs = cases.sum(1).prod()
    pairs_kept = (cases.sum(1, keepdims=True) - cases).prod(0)
    if (pairs_kept == 0).any():
        raise BenchError(
            "AUROC is undefined without some patient; the test set needs two patients of each class"
        )
    in_order = []
    kept_in_order = []
    for column in scores.T:
        of_cases = pairs_in_order(column, positive)
        of_patients = _pairs_of_patients(column, positive, patient, of_cases)
        of_all = of_cases[positive].sum()
        in_order.append(of_all)
        kept_in_order.append(of_all - of_patients)
    left_out = np.stack(kept_in_order, 1) / pairs_kept[:, None]
    return _pseudo_values(np.array(in_order) / pairs, left_out)


def _pairs_of_patients(
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    patient: NDArray[np.intp],
    of_cases: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Pairs in order that each patient (n) takes part in, from those of each case (N)."""
    taken = np.bincount(patient, weights=of_cases).astype(np.float64)
    # Pairs of two cases of one patient are in the sum twice.
    for number in np.intersect1d(patient[positive], patient[~positive]):
        of_patient = patient == number
        high = scores[of_patient & positive]
        low = scores[of_patient & ~positive]
        taken[number] -= count_pairs_in_order(np.sort(low), high).sum()
    return taken


def _pseudo_values(
    of_all: NDArray[np.float64], left_out: NDArray[np.float64]
) -> NDArray[np.float64]:
    patients = len(left_out)
    return patients * of_all - (patients - 1) * left_out
