"""Which synthetic images copy a training image: nearest pair in feature space, confirmed on the pixels (R5.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.metrics.frechet import Features, Floats, check_features
from bench.metrics.ssim import Image, ssim

ALIKE = 0.9  # SSIM above which two images show the same picture
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
