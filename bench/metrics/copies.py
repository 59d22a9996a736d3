"""Which synthetic images copy a training image: near it in features and alike in pixels (R5.8)."""

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
    """The nearest training image of each of N synthetic images, and whether it was copied.

    `nearest`: index of the nearest training image. `distance`: to it, in feature space. `ratio`:
    rho, that distance over the one from the training image to its own nearest other. `ssim`: with
    it, on the pixels. `copy`: distance 0, or rho < 1 and SSIM > 0.9. All are kept so that a page
    can show the pairs.
    """

    nearest: NDArray[np.intp]
    distance: Floats
    ratio: Floats
    ssim: Floats
    copy: NDArray[np.bool_]

    def rate(self) -> tuple[float, float, float]:
        """Share of copies with its 95% interval: share, lower end, upper end."""
        hits = int(np.count_nonzero(self.copy))
        return hits / len(self.copy), *wilson_interval(hits, len(self.copy))


def find_copies(
    fake: Features, real: Features, fake_images: Sequence[Image], real_images: Sequence[Image]
) -> Copies:
    """Pair each synthetic image with its nearest training image and decide whether it is a copy.

    Features (N d) and (M d), with the N and M images (C H W, in [0, 1]) in the same order. Held-out
    real images as `fake` give the rate to expect without copying. A ValueError where images and
    features do not pair.
    """
    from scipy.spatial.distance import cdist

    fake, real = check_features(fake, real)
    if (len(fake_images), len(real_images)) != (len(fake), len(real)):
        raise ValueError(
            f"{len(fake_images)} and {len(real_images)} images for {len(fake)} and {len(real)} "
            "features; pass one each"
        )
    distances = cdist(fake, real)
    nearest = distances.argmin(1)
    distance = distances.min(1)
    ratio = distance / _distance_to_nearest_other(real, nearest)
    pairs = zip(fake_images, nearest, strict=True)
    similarity = np.array([ssim(image, real_images[index]) for image, index in pairs])
    copy = (distance == 0) | ((ratio < 1) & (similarity > ALIKE))
    return Copies(nearest, distance, ratio, similarity, copy)


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """95% Wilson score interval of the share hits / n, n >= 1; its ends lie in [0, 1].

    (p + z^2/2n +- z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n); never of zero width, also at 0 and
    n hits (Wilson 1927, doi 10.1080/01621459.1927.10502953).
    """
    if not 0 <= hits <= n or n < 1:
        raise ValueError(f"{hits} hits of {n} given; expected 0 <= hits <= n and n >= 1")
    share = hits / n
    z_squared = Z95 * Z95 / n
    middle = share + z_squared / 2
    half = np.sqrt(z_squared * share * (1 - share) + z_squared * z_squared / 4)
    lo = float((middle - half) / (1 + z_squared))
    hi = float((middle + half) / (1 + z_squared))
    return max(0.0, lo), min(1.0, hi)


def _distance_to_nearest_other(real: Floats, chosen: NDArray[np.intp]) -> Floats:
    """Distance of the chosen reals to the nearest other that differs from them.

    With a twin at distance 0 every ratio would be infinite, and no copy would be found.
    """
    from scipy.spatial.distance import cdist

    distances = cdist(real[chosen], real)
    return np.where(distances > 0, distances, np.inf).min(1)
