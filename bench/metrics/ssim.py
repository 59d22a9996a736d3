"""Structural similarity of two images at one scale (SSIM) and at several (MS-SSIM). Pure functions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]  # C H W, intensities in [0, 1]
Floats = NDArray[np.float64]

WINDOW, SIGMA = 11, 1.5  # of SSIM, in pixels (Wang et al. 2004)
C1, C2 = 0.01**2, 0.03**2  # for a range of 1
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first (Wang et al. 2003)


class MultiScale(NamedTuple):
    """MS-SSIM and the number of scales that the images had room for."""

    value: float
    scales: int


def ssim(a: Image, b: Image) -> float:
    """Mean structural similarity of two images (C H W) in [0, 1], over all windows that lie inside (Wang et al. 2004).

    Gaussian window of 11 pixels, sigma 1.5; for a smaller image the largest odd window that fits it.
    """
    if a.shape != b.shape or a.ndim != 3:
        raise ValueError(f"images are {a.shape} and {b.shape}; expected two of one shape (C H W)")
    luminance, structure = similarity(np.asarray(a, np.float64), np.asarray(b, np.float64))
    return float((luminance * structure).mean())


def similarity(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Luminance, and contrast times structure, of each window inside two images (C H W -> C H' W')."""
    mean_a, mean_b, square_a, square_b, product = (_smooth(x) for x in (a, b, a * a, b * b, a * b))
    var_a, var_b, cov = square_a - mean_a**2, square_b - mean_b**2, product - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return luminance, (2 * cov + C2) / (var_a + var_b + C2)


def ms_ssim(a: Image, b: Image) -> MultiScale:
    """Multi-scale structural similarity of two images (C H W) in [0, 1], the mean over channels (Wang et al. 2003).

    Windows of 11 pixels, sigma 1.5; 5 scales from a side of 161 pixels, 3 from 41, 2 from 21, else 1, with their
    weights scaled to sum 1. Negative terms, of images that are each other's negative, count as 0.
    """
    if a.shape != b.shape or a.ndim != 3:
        raise ValueError(f"images are {a.shape} and {b.shape}; expected two of one shape (C H W)")
    scales = scales_of(min(a.shape[1:]))
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    product = np.ones(len(a))
    for number, weight in enumerate(weights):
        luminance, structure = similarity(a, b)
        term = structure if number < scales - 1 else luminance * structure
        product *= term.mean((1, 2)).clip(0) ** weight
        a, b = halved(a), halved(b)
    return MultiScale(float(product.mean()), scales)


def scales_of(side: int) -> int:
    """How many scales the shorter side (pixels) has room for, of the numbers 5, 3, 2 and 1."""
    return next(
        scales for scales in (5, 3, 2, 1) if scales == 1 or side > (WINDOW - 1) * 2 ** (scales - 1)
    )


def halved(image: Floats) -> Floats:
    """Means of 2 x 2 pixels (C H W -> C H/2 W/2); the last line of an odd side is doubled first."""
    c, h, w = image.shape
    even = np.pad(image, ((0, 0), (0, h % 2), (0, w % 2)), mode="edge")
    return even.reshape(c, (h + 1) // 2, 2, (w + 1) // 2, 2).mean((2, 4))


def _smooth(image: Floats) -> Floats:
    """Gaussian mean over each window (C H W -> C H' W') that lies inside the image."""
    from scipy.ndimage import correlate1d

    side = min(WINDOW, *(n - (n + 1) % 2 for n in image.shape[1:]))
    reach = side // 2
    weights = np.exp(-((np.arange(side) - reach) ** 2) / (2 * SIGMA**2))
    for axis in (1, 2):
        image = correlate1d(image, weights / weights.sum(), axis)
    return image[:, reach : image.shape[1] - reach, reach : image.shape[2] - reach]
