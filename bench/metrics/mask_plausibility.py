"""Whether synthetic masks are plausible: areas, pieces and empty share beside real ones (R5.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metrics.overlap import dice

Mask = NDArray[np.integer[Any]]  # *S, label map, 0 is background


@dataclass(frozen=True, slots=True)
class MaskValidity:
    """Synthetic masks against real ones, with counts and shares of both for comparison.

    `area_distance`: Kolmogorov-Smirnov distance of the foreground areas, 0 (same) to 1. `pieces`:
    mean number of connected components in a mask. `empty`: share of masks without foreground.
    """

    area_distance: float
    pieces: float
    real_pieces: float
    empty: float
    real_empty: float


def mask_validity(fake: Sequence[Mask], real: Sequence[Mask]) -> MaskValidity:
    """Areas, pieces and empty share of one or more label maps on each side (R5.9).

    Empty masks count, with area 0 and no piece. A ValueError where a side has no mask.
    """
    if not len(fake) or not len(real):
        raise ValueError(
            f"{len(fake)} synthetic and {len(real)} real masks given; expected at least one of each"
        )
    fake_shares = foreground_shares(fake)
    real_shares = foreground_shares(real)
    return MaskValidity(
        area_distance=ks_distance(fake_shares, real_shares),
        pieces=_mean_pieces(fake),
        real_pieces=_mean_pieces(real),
        empty=float(np.mean(fake_shares == 0)),
        real_empty=float(np.mean(real_shares == 0)),
    )


def mask_agreement(predicted: Sequence[Mask], masks: Sequence[Mask]) -> float | None:
    """Mean Dice of the label maps that a segmenter predicts with the masks made for the images.

    The segmenter is trained on reals, the images are synthetic. The mean is over all pairs (mask,
    foreground class that it holds), as for the headline `dice`; None where every mask is empty.
    """
    scores = []
    for prediction, mask in zip(predicted, masks, strict=True):
        scores += [dice(prediction == c, mask == c) for c in _foreground_classes(mask)]
    if not scores:
        return None
    return float(np.mean(scores))


def foreground_shares(masks: Sequence[Mask]) -> NDArray[np.float64]:
    """Share of foreground in each mask (N), 0 to 1, so that grids of different size compare."""
    return np.array([np.count_nonzero(mask) / mask.size for mask in masks])


def count_pieces(mask: Mask) -> int:
    """Number of connected components, counted for each foreground class apart.

    Pixels that touch at a corner are connected, so that a thin diagonal is one piece.
    """
    from scipy.ndimage import label

    corners_connect = np.ones((3,) * mask.ndim)
    return sum(int(label(mask == c, corners_connect)[1]) for c in _foreground_classes(mask))


def ks_distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Two-sample Kolmogorov-Smirnov distance of numbers (N) and (M).

    It is the largest gap between the two empirical distribution functions, 0 to 1.
    """
    a = np.sort(a)
    b = np.sort(b)
    values = np.concatenate([a, b])
    share_of_a = np.searchsorted(a, values, "right") / len(a)
    share_of_b = np.searchsorted(b, values, "right") / len(b)
    return float(np.abs(share_of_a - share_of_b).max())


def _mean_pieces(masks: Sequence[Mask]) -> float:
    return float(np.mean([count_pieces(mask) for mask in masks]))


def _foreground_classes(mask: Mask) -> list[int]:
    return [int(c) for c in np.unique(mask) if c]
