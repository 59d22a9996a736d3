"""Overlap of two boolean masks of equal shape, with any number of dimensions.

TP, FP and FN count pixels. Definitions and empty rules follow Metrics Reloaded (Maier-Hein et al.
2024, doi 10.1038/s41592-023-02151-z), which calls the two DSC and IoU.
"""

import numpy as np
from numpy.typing import NDArray

from bench.metrics.borders import check_masks
from bench.metrics.case_metric import CaseMetric, CasePair


def dice(pred: NDArray[np.bool_], ref: NDArray[np.bool_]) -> float:
    """Dice coefficient 2TP / (2TP + FP + FN), a share in [0, 1].

    1.0 if both masks are empty and 0.0 if only one is, so it serves `dice_all` too. A ValueError
    for masks that `check_masks` refuses.
    """
    check_masks(pred, ref)
    sizes = np.count_nonzero(pred) + np.count_nonzero(ref)
    if not sizes:
        return 1.0
    return float(2 * np.count_nonzero(pred & ref) / sizes)


def jaccard(pred: NDArray[np.bool_], ref: NDArray[np.bool_]) -> float:
    """Jaccard index TP / (TP + FP + FN), a share in [0, 1], with the empty rules of `dice`."""
    check_masks(pred, ref)
    union = np.count_nonzero(pred | ref)
    if not union:
        return 1.0
    return float(np.count_nonzero(pred & ref) / union)


def pair_dice(pair: CasePair) -> float:
    """Dice of one class of a case."""
    return dice(pair.guess, pair.truth)


def pair_jaccard(pair: CasePair) -> float:
    """Jaccard of one class of a case."""
    return jaccard(pair.guess, pair.truth)


def anything_predicted(pair: CasePair) -> int:
    """1 where the class is predicted anywhere, else 0."""
    return int(pair.guess.any())


METRICS = (
    CaseMetric(
        key="dice",
        title="Dice",
        better="higher",
        help="Overlap 2TP/(2TP+FP+FN) on pairs whose reference is not empty.",
        pairs="reference",
        digits=3,
        worst=0.0,
        compute=pair_dice,
    ),
    CaseMetric(
        key="fp_rate",
        title="FP rate",
        better="lower",
        help="Share of reference-empty pairs where anything is predicted.",
        pairs="no reference",
        digits=3,
        worst=1,
        compute=anything_predicted,
        column="predicted",
    ),
    CaseMetric(
        key="dice_all",
        title="Dice, all pairs",
        better="higher",
        help="Dice with both empty = 1 and one empty = 0.",
        pairs="all",
        digits=3,
        worst=0.0,
        compute=pair_dice,
        column="dice",
    ),
    CaseMetric(
        key="jaccard",
        title="Jaccard",
        better="higher",
        help="Overlap TP/(TP+FP+FN) on pairs whose reference is not empty.",
        pairs="reference",
        digits=3,
        worst=0.0,
        compute=pair_jaccard,
    ),
)
