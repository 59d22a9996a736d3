"""Metrics that count lesions instead of pixels: `metrics: [lesion_metrics.py]` in a suite.

A lesion is a connected component of a mask; pixels that touch at a corner are connected.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from bench.metrics.case_metric import CaseMetric, CasePair, Mask

FOUND_FROM = 0.1  # the IoU from which a predicted lesion finds one of the reference


def lesions(mask: Mask) -> tuple[NDArray[np.int_], int]:
    """Each pixel's lesion (*S), numbered from 1, and how many lesions there are."""
    numbered, count = label(mask, np.ones((3,) * mask.ndim))
    return numbered.astype(np.int_), int(count)


def overlaps(pair: CasePair) -> NDArray[np.int_]:
    """Pixels shared by each predicted (rows) and each true lesion (columns), 0 for background."""
    guesses, guess_count = lesions(pair.guess)
    truths, truth_count = lesions(pair.truth)
    places = guesses.ravel() * (truth_count + 1) + truths.ravel()
    counts = np.bincount(places, minlength=(guess_count + 1) * (truth_count + 1))
    return counts.reshape(guess_count + 1, truth_count + 1)


def lesion_f1(pair: CasePair) -> float:
    """2TP / (2TP + FP + FN) over lesions: as many pairs as can be made, each lesion in one."""
    shared = overlaps(pair)
    inside = shared[1:, 1:]
    unions = shared[1:].sum(1)[:, None] + shared[:, 1:].sum(0) - inside
    finds = csr_array(inside >= np.maximum(FOUND_FROM * unions, 1))
    found = np.count_nonzero(maximum_bipartite_matching(finds) >= 0) if inside.size else 0
    count = sum(inside.shape)
    return 2 * found / count if count else 1.0


def lesion_dice(pair: CasePair) -> float:
    """Mean over true lesions of the Dice with all predicted lesions that touch them; 0 if none."""
    shared = overlaps(pair)
    sizes = shared[1:].sum(1)
    scores = []
    for column in range(1, shared.shape[1]):
        touching = shared[1:, column] > 0
        total = sizes[touching].sum() + shared[:, column].sum()
        scores.append(2 * shared[1:, column].sum() / total)
    return float(np.mean(scores)) if scores else float(not sizes.size)


METRICS = (
    CaseMetric(
        key="lesion_f1",
        title="Lesion F1",
        better="higher",
        help="F1 of lesions found (IoU of 0.1 or more), on pairs whose reference is not empty.",
        pairs="reference",
        digits=3,
        worst=0.0,
        compute=lesion_f1,
    ),
    CaseMetric(
        key="lesion_dice",
        title="Lesion Dice",
        better="higher",
        help="Dice of a true lesion with the predicted ones that touch it, averaged over lesions.",
        pairs="reference",
        digits=3,
        worst=0.0,
        compute=lesion_dice,
    ),
)
