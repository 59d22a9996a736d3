"""Overlap of two boolean masks of equal shape, any number of dimensions."""

import numpy as np
from numpy.typing import NDArray


def dice(pred: NDArray[np.bool_], ref: NDArray[np.bool_]) -> float:
    """2TP / (2TP + FP + FN): 1.0 if both masks are empty, 0.0 if only one is, so it serves `dice_all` too."""
    check_masks(pred, ref)
    total = np.count_nonzero(pred) + np.count_nonzero(ref)
    return float(2 * np.count_nonzero(pred & ref) / total) if total else 1.0


def jaccard(pred: NDArray[np.bool_], ref: NDArray[np.bool_]) -> float:
    """TP / (TP + FP + FN), with the same empty rules as `dice`."""
    check_masks(pred, ref)
    union = np.count_nonzero(pred | ref)
    return float(np.count_nonzero(pred & ref) / union) if union else 1.0


def check_masks(pred: NDArray[np.bool_], ref: NDArray[np.bool_]) -> None:
    """Refuse what numpy would broadcast, or `&` would take bit by bit, to a wrong score without a word."""
    if pred.shape != ref.shape:
        raise ValueError(
            f"prediction {pred.shape} and reference {ref.shape} differ in shape; resample first"
        )
    if pred.dtype != bool or ref.dtype != bool:
        raise ValueError(
            f"masks are {pred.dtype} and {ref.dtype}, not bool; compare with the class: `x == c`"
        )
