"""Pseudo-normal images: is the lesion gone (healthiness), is the rest kept (identity)? Pure functions.

Labels come from a judge that the generator never met in training. Whatever is a ratio of sums is given as counts, so
that `bench.jackknife.pseudo_values_of_sums` can leave patients out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.metrics.overlap import dice
from bench.metrics.ssim import Image, MultiScale, ms_ssim

Mask = NDArray[Any]  # H W, 0 is background
Floats = NDArray[np.float64]


class Change(NamedTuple):
    """Mean |x - x_hat| over the pixels of the lesion and over the others; nan where there is no such pixel."""

    inside: float
    outside: float


def lesion_pixels(label_maps: Sequence[Mask]) -> Floats:
    """N(f(x)): pixels called lesion, of any class, in each label map (N)."""
    return np.array([np.count_nonzero(label_map) for label_map in label_maps], float)


def healthiness(counts: Floats) -> Floats:
    """h = 1 - N(f(G(x))) / N(f(x)) of sums (..., 2) over cases with a lesion; nan where the judge finds none in x.

    1 is no lesion left, 0 as much as before, below 0 more. With true areas as denominator it is the other form in use.
    """
    left, found = np.moveaxis(np.asarray(counts, float), -1, 0)
    ratio = np.divide(left, found, out=np.full(np.shape(found), np.nan), where=found > 0)
    return np.asarray(1 - ratio)


def healthiness_dice(label_map: Mask, mask: Mask) -> float:
    """Dice of what the judge finds in G(x) with the true lesion, all classes as one; lower is healthier."""
    if not (mask > 0).any():
        raise ValueError("the true mask is empty; score images with a lesion alone")
    return dice(label_map > 0, mask > 0)


def identity(image: Image, normal: Image, mask: Mask) -> MultiScale:
    """MS-SSIM of x and G(x) (C H W), both set to 0 in the mask (H W)."""
    tissue = mask == 0
    return ms_ssim(image * tissue, normal * tissue)


def change(image: Image, normal: Image, mask: Mask) -> Change:
    """Where G changed x (C H W): inside the mask (H W) it should, outside it should not."""
    apart = np.abs(np.asarray(normal, np.float64) - image).mean(0)
    inside, outside = apart[mask > 0], apart[mask == 0]
    return Change(
        *(float(part.mean()) if part.size else float("nan") for part in (inside, outside))
    )


def anomaly(image: Image, normal: Image) -> float:
    """Mean |x - x_hat| over all pixels and channels: the score of an image for AUROC, higher is more abnormal."""
    return float(np.abs(np.asarray(normal, np.float64) - image).mean())


def harmonic_mean(healthiness: Floats, identity: Floats) -> Floats:
    """2 h i / (h + i) of both axes; 0 where either is not above 0, as for a copy of the input; nan where h is."""
    h, i = np.broadcast_arrays(np.asarray(healthiness, float), np.asarray(identity, float))
    mean = np.divide(2 * h * i, h + i, out=np.zeros(h.shape), where=(h > 0) & (i > 0))
    return np.where(np.isnan(h) | np.isnan(i), np.nan, mean)
