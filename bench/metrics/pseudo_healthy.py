"""Pseudo-healthy images: is the lesion gone (healthiness), and is the rest kept (identity)?

Both are defined by Xia et al. 2020 (arXiv 2005.01607). Lesions are found by a segmenter that the
generator never met in training: f(x) is its label map of the image x, and G(x) the pseudo-healthy
image. Whatever is a ratio of sums takes the sums, so that `bench.stats.jackknife` can leave
patients out.
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


class MeanChange(NamedTuple):
    """Mean |G(x) - x| over the pixels of the lesion and over all others; see `mean_change`."""

    inside: float
    outside: float


def lesion_pixels(label_maps: Sequence[Mask]) -> Floats:
    """N(f(x)): number of pixels called lesion, of any class, in each label map (N)."""
    return np.array([np.count_nonzero(label_map) for label_map in label_maps], float)


def healthiness(counts: Floats) -> Floats:
    """h = 1 - N(f(G(x))) / N(f(x)), from sums (..., 2) of both over cases with a lesion -> (...).

    The last axis holds lesion pixels left in G(x), then those found in x. 1 means that no lesion is
    left, 0 as much as before, and below 0 more; nan where none was found in x. With the true areas
    as the denominator it is the other form in use.
    """
    left, before = np.moveaxis(np.asarray(counts, float), -1, 0)
    undefined = np.full(np.shape(before), np.nan)
    ratio = np.divide(left, before, out=undefined, where=before > 0)
    return np.asarray(1 - ratio)


def healthiness_dice(label_map: Mask, mask: Mask) -> float:
    """Dice of the lesion found in G(x) with the true lesion, classes as one; lower is healthier.

    0 where none is found. A ValueError for an empty true mask: only images with a lesion have it.
    """
    if not (mask > 0).any():
        raise ValueError("the true mask is empty; score only images with a lesion")
    return dice(label_map > 0, mask > 0)


def identity_score(image: Image, normal: Image, mask: Mask) -> MultiScale:
    """MS-SSIM of x and G(x) (C H W), both set to 0 inside the lesion's mask (H W); 1 is unchanged.

    An empty mask compares the whole images.
    """
    tissue = mask == 0
    return ms_ssim(image * tissue, normal * tissue)


def mean_change(image: Image, normal: Image, mask: Mask) -> MeanChange:
    """Mean |G(x) - x| inside the lesion's mask (H W) and outside it, in units of intensity.

    Over pixels and channels of images (C H W). A good method changes only the inside. nan where
    there is no such pixel.
    """
    change = np.abs(np.asarray(normal, np.float64) - image).mean(0)
    return MeanChange(
        inside=_mean_or_nan(change[mask > 0]), outside=_mean_or_nan(change[mask == 0])
    )


def _mean_or_nan(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")


def anomaly_score(image: Image, normal: Image) -> float:
    """Mean |G(x) - x| over all pixels and channels (C H W), in units of intensity.

    The score of an image from which AUROC is computed; higher is more abnormal.
    """
    return float(np.abs(np.asarray(normal, np.float64) - image).mean())


def harmonic_mean(healthiness: Floats, identity: Floats) -> Floats:
    """2 h i / (h + i) of healthiness and identity, which broadcast; nan where either is nan.

    0 where either is not above 0, as for a copy of the input.
    """
    h, i = np.broadcast_arrays(np.asarray(healthiness, float), np.asarray(identity, float))
    both_positive = (h > 0) & (i > 0)
    mean = np.divide(2 * h * i, h + i, out=np.zeros(h.shape), where=both_positive)
    return np.where(np.isnan(h) | np.isnan(i), np.nan, mean)
