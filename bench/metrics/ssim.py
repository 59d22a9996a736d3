"""Structural similarity of two images at one scale (SSIM) and at several (MS-SSIM)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]  # C H W, intensities in [0, 1]
Floats = NDArray[np.float64]

# Side of the Gaussian window and its sigma, in pixels (Wang et al. 2004).
WINDOW = 11
SIGMA = 1.5
# The stabilising constants (0.01 L)^2 and (0.03 L)^2, for a range of intensities L of 1.
C1 = 0.01**2
C2 = 0.03**2
# Weights of the scales, finest first (Wang et al. 2003).
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


class MultiScale(NamedTuple):
    """MS-SSIM and the number of scales that the images had room for."""

    value: float
    scales: int


def ssim(a: Image, b: Image) -> float:
    """Mean structural similarity of two images (C H W) in [0, 1]; 1 for equal images, at least -1.

    SSIM = (2 ma mb + C1)(2 cov + C2) / ((ma^2 + mb^2 + C1)(va + vb + C2)), with Gaussian-weighted
    means, variances and covariance in a window of 11 pixels, sigma 1.5, averaged over channels and
    all windows that lie inside the image (Wang et al. 2004, eq. 13, doi 10.1109/TIP.2003.819861).
    A smaller image gets the largest odd window that fits it. A ValueError for unequal shapes.
    """
    _check_images(a, b)
    luminance, structure = local_similarity(np.asarray(a, np.float64), np.asarray(b, np.float64))
    return float((luminance * structure).mean())


def ms_ssim(a: Image, b: Image) -> MultiScale:
    """Multi-scale structural similarity of two images (C H W) in [0, 1], averaged over channels.

    The product over scales of the mean contrast-structure term, at the coarsest scale times the
    luminance term, each to the power of its weight (Wang et al. 2003, eq. 7, doi
    10.1109/ACSSC.2003.1292216). Windows as for `ssim`. The shorter side decides on the number of
    scales: 5 from 161 pixels, 3 from 41, 2 from 21, else 1, with weights rescaled to sum to 1.
    Negative terms, of images that are each other's negative, count as 0. A ValueError for unequal
    shapes.
    """
    _check_images(a, b)
    scales = number_of_scales(min(a.shape[1:]))
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    a = np.asarray(a, np.float64)
    b = np.asarray(b, np.float64)
    product = np.ones(len(a))
    for number, weight in enumerate(weights):
        luminance, structure = local_similarity(a, b)
        term = structure
        if number == scales - 1:
            term = luminance * structure
        product *= term.mean((1, 2)).clip(0) ** weight
        a = halve_image(a)
        b = halve_image(b)
    return MultiScale(float(product.mean()), scales)


def local_similarity(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Luminance, and contrast times structure, in each window inside two images.

    C H W -> C H' W' each; their product is SSIM (Wang et al. 2004, eqs. 6 and 13).
    """
    mean_a = _gaussian_mean(a)
    mean_b = _gaussian_mean(b)
    variance_a = _gaussian_mean(a * a) - mean_a**2
    variance_b = _gaussian_mean(b * b) - mean_b**2
    covariance = _gaussian_mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return luminance, (2 * covariance + C2) / (variance_a + variance_b + C2)


def number_of_scales(side: int) -> int:
    """How many scales the shorter side (pixels) has room for: 5, 3, 2 or 1."""
    for scales in (5, 3, 2):
        if side > (WINDOW - 1) * 2 ** (scales - 1):
            return scales
    return 1


def halve_image(image: Floats) -> Floats:
    """Means of 2 x 2 pixels (C H W -> C H/2 W/2); an odd side repeats its last line first."""
    channels, height, width = image.shape
    even = np.pad(image, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    blocks = even.reshape(channels, (height + 1) // 2, 2, (width + 1) // 2, 2)
    return blocks.mean((2, 4))


def _gaussian_mean(image: Floats) -> Floats:
    """Gaussian-weighted mean of each window that lies inside the image (C H W -> C H' W')."""
    from scipy.ndimage import correlate1d

    odd_sides = [side - (side + 1) % 2 for side in image.shape[1:]]
    window = min(WINDOW, *odd_sides)
    reach = window // 2
    weights = np.exp(-((np.arange(window) - reach) ** 2) / (2 * SIGMA**2))
    for axis in (1, 2):
        image = correlate1d(image, weights / weights.sum(), axis)
    return image[:, reach : image.shape[1] - reach, reach : image.shape[2] - reach]


def _check_images(a: Image, b: Image) -> None:
    if a.shape != b.shape or a.ndim != 3:
        raise ValueError(f"images are {a.shape} and {b.shape}; expected two of one shape (C H W)")
