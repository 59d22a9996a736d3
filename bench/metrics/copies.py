"""Which synthetic images copy a training image: nearest pair in feature space, confirmed on the pixels (R5.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.metrics.frechet import Features, Floats, check_features

Image = NDArray[Any]  # C H W, intensities in [0, 1]

ALIKE = 0.9  # SSIM above which two images show the same picture
WINDOW, SIGMA = 11, 1.5  # of SSIM, in pixels (Wang et al. 2004)
C1, C2 = 0.01**2, 0.03**2  # for a range of 1
Z95 = 1.959963984540054  # two-sided 95% of a normal


@dataclass(frozen=True, slots=True)
class Copies:
    """One entry for each synthetic image; the pair and its numbers are kept so that a page can show them."""

    nearest: NDArray[np.intp]  # index of the nearest training image
    distance: Floats  # to it, in feature space
    ratio: (
        Floats  # rho: that distance over the one from the training image to its own nearest other
    )
    ssim: Floats  # with it, on the pixels
    copy: NDArray[np.bool_]

    def rate(self) -> tuple[float, float, float]:
        """Share of copies with its 95% interval."""
        hits = int(np.count_nonzero(self.copy))
        return hits / len(self.copy), *wilson(hits, len(self.copy))


def find_copies(
    fake: Features, real: Features, fake_images: Sequence[Image], real_images: Sequence[Image]
) -> Copies:
    """Pairs each synthetic image with its nearest training image; features (N d), (M d), images of the same order.

    A copy has distance 0, or rho < 1 and SSIM > 0.9. Call it with held-out reals as `fake` for the rate to expect.
    """
    from scipy.spatial.distance import cdist

    fake, real = check_features(fake, real)
    if (len(fake_images), len(real_images)) != (len(fake), len(real)):
        raise ValueError(
            f"{len(fake_images)} and {len(real_images)} images for {len(fake)} and {len(real)} features; pass one each"
        )
    table = cdist(fake, real)
    nearest = table.argmin(1)
    distance = table.min(1)
    ratio = distance / _to_nearest_other(real, nearest)
    pairs = zip(fake_images, nearest, strict=True)
    alike = np.array([ssim(image, real_images[index]) for image, index in pairs])
    return Copies(
        nearest, distance, ratio, alike, (distance == 0) | ((ratio < 1) & (alike > ALIKE))
    )


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


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95% Wilson score interval of a share, hits of n >= 1; inside [0, 1] and never empty, also at 0 and n hits."""
    if not 0 <= hits <= n or n < 1:
        raise ValueError(f"{hits} hits of {n} given; expected 0 <= hits <= n and n >= 1")
    share, z = hits / n, Z95 * Z95 / n
    middle, half = share + z / 2, np.sqrt(z * share * (1 - share) + z * z / 4)
    return max(0.0, float((middle - half) / (1 + z))), min(1.0, float((middle + half) / (1 + z)))


def _to_nearest_other(real: Floats, chosen: NDArray[np.intp]) -> Floats:
    """Distance of the chosen reals to their nearest other that differs: with a twin at 0 no ratio would be left."""
    from scipy.spatial.distance import cdist

    table = cdist(real[chosen], real)
    return np.where(table > 0, table, np.inf).min(1)


def _smooth(image: Floats) -> Floats:
    """Gaussian mean over each window (C H W -> C H' W') that lies inside the image."""
    from scipy.ndimage import correlate1d

    side = min(WINDOW, *(n - (n + 1) % 2 for n in image.shape[1:]))
    reach = side // 2
    weights = np.exp(-((np.arange(side) - reach) ** 2) / (2 * SIGMA**2))
    for axis in (1, 2):
        image = correlate1d(image, weights / weights.sum(), axis)
    return image[:, reach : image.shape[1] - reach, reach : image.shape[2] - reach]
