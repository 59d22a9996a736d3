"""Are synthetic masks plausible? Their areas, pieces and empty share beside the real ones (protocol R5.9)."""

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
    """Synthetic masks against real ones; counts and shares of both, so that a reader sees what is usual."""

    area_distance: float  # KS distance of the foreground areas, 0 (same) to 1
    pieces: float  # mean connected components of a mask
    real_pieces: float
    empty: float  # share of masks without foreground
    real_empty: float


def mask_validity(fake: Sequence[Mask], real: Sequence[Mask]) -> MaskValidity:
    """Of one or more label maps on each side; empty masks count, with area 0."""
    if not len(fake) or not len(real):
        raise ValueError(
            f"{len(fake)} synthetic and {len(real)} real masks given; expected at least one of each"
        )
    fake_areas, real_areas = areas(fake), areas(real)
    return MaskValidity(
        area_distance=ks_distance(fake_areas, real_areas),
        pieces=float(np.mean([components(mask) for mask in fake])),
        real_pieces=float(np.mean([components(mask) for mask in real])),
        empty=float(np.mean(fake_areas == 0)),
        real_empty=float(np.mean(real_areas == 0)),
    )


def agreement(predicted: Sequence[Mask], masks: Sequence[Mask]) -> float | None:
    """Mean Dice of label maps of the synthetic images, by a segmenter trained on reals, with the masks made for them.

    Over all pairs (mask, foreground class that it holds), as the headline `dice`; None where every mask is empty.
    """
    pairs = zip(predicted, masks, strict=True)
    scores = [dice(given == c, mask == c) for given, mask in pairs for c in _classes(mask)]
    return float(np.mean(scores)) if scores else None


def areas(masks: Sequence[Mask]) -> NDArray[np.float64]:
    """Share of foreground in each mask, 0 to 1, so that grids of different size compare."""
    return np.array([np.count_nonzero(mask) / mask.size for mask in masks])


def components(mask: Mask) -> int:
    """Connected pieces, counted for each foreground class apart; corners connect, so a thin slant is one piece."""
    from scipy.ndimage import label

    corners = np.ones((3,) * mask.ndim)
    return sum(int(label(mask == c, corners)[1]) for c in _classes(mask))


def ks_distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Two-sample Kolmogorov-Smirnov distance: the largest gap between the two distribution functions."""
    a, b = np.sort(a), np.sort(b)
    values = np.concatenate([a, b])
    gap = np.searchsorted(a, values, "right") / len(a) - np.searchsorted(b, values, "right") / len(
        b
    )
    return float(np.abs(gap).max())


def _classes(mask: Mask) -> list[int]:
    return [int(c) for c in np.unique(mask) if c]
