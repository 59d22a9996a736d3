"""Fréchet distance of two feature sets at equal N, and the floor that real images reach.

FD = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) (R5.2; Heusel et al. 2017, eq. 6, arXiv
1706.08500), which is FID where the features are those of Inception. With factors S1 = A^T A and
S2 = B^T B the trace of the root is the nuclear norm of A B^T, so no matrix root is taken and
nothing complex appears. The distance is biased upward at small N (R5.4): compare it only at equal
N, and beside `floor_distance`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Features = NDArray[Any]  # N d, real numbers


def frechet_distance(x: Features, y: Features) -> float:
    """Fréchet distance of features (N d) and (M d), with N, M >= 2, in their squared unit.

    Exact at any N, in the cheaper of the two forms below.
    """
    x, y = check_features(x, y)
    if min(len(x), len(y)) < x.shape[1]:
        return distance_from_samples(x, y)
    covariance_x = np.cov(x, rowvar=False)
    covariance_y = np.cov(y, rowvar=False)
    return distance_from_moments(x.mean(0), covariance_x, y.mean(0), covariance_y)


def distance_from_samples(x: Features, y: Features) -> float:
    """Fréchet distance in the form for few samples, whose factors are the centred features (R5.3).

    O(N M d), without a d x d matrix.
    """
    x, y = check_features(x, y)
    return _distance_from_factors(x.mean(0) - y.mean(0), _sample_factor(x), _sample_factor(y))


def distance_from_moments(
    mean_x: Features, covariance_x: Features, mean_y: Features, covariance_y: Features
) -> float:
    """Fréchet distance from means (d) and covariances (d d), which may be singular; O(d^3)."""
    difference = np.subtract(mean_x, mean_y, dtype=np.float64)
    factor_x = _covariance_factor(covariance_x)
    factor_y = _covariance_factor(covariance_y)
    return _distance_from_factors(difference, factor_x, factor_y)


def distance_at_equal_size(real: Features, fake: Features, n: int, draws: int, seed: int) -> float:
    """Mean distance between n reals and n fakes, over `draws` seeded draws without replacement.

    A ValueError where either set has fewer than n samples.
    """
    real, fake = check_features(real, fake)
    most = min(len(real), len(fake))
    if not 2 <= n <= most:
        raise ValueError(
            f"{n} a side requested from {len(real)} and {len(fake)} samples; give 2 to {most}"
        )
    if n == len(real) == len(fake):  # every draw would be everything
        return frechet_distance(real, fake)
    random = np.random.default_rng(seed)
    distances = []
    for _ in range(draws):
        some_real = _draw_samples(real, n, random)
        some_fake = _draw_samples(fake, n, random)
        distances.append(frechet_distance(some_real, some_fake))
    return _mean_of_draws(distances)


def floor_distance(
    real: Features, n: int, draws: int, seed: int, groups: Sequence[str] | None = None
) -> float:
    """What reals score against reals: mean distance of two parts of n, over `draws` seeded draws.

    `groups` names the patient of each sample (each its own, if None); the parts share no patient,
    because frames of one patient would make the floor too low. A ValueError where n exceeds
    `largest_disjoint_size`.
    """
    real, _ = check_features(real, real)
    if groups is None:
        groups = [str(index) for index in range(len(real))]
    _, patient = np.unique(np.asarray(groups), return_inverse=True)
    most = largest_disjoint_size(groups)
    if not 2 <= n <= most:
        raise ValueError(
            f"two parts of {n} without a common patient requested from {len(real)} samples; "
            f"give 2 to {most}"
        )
    random = np.random.default_rng(seed)
    parts = [_draw_disjoint_parts(patient, n, random) for _ in range(draws)]
    return _mean_of_draws([frechet_distance(real[one], real[other]) for one, other in parts])


def largest_disjoint_size(groups: Sequence[str]) -> int:
    """The largest n for which two parts of n without a common patient can always be drawn.

    `groups` names the patient of each sample; the patient at the border of the parts may be the
    one with most samples.
    """
    largest = max(Counter(groups).values(), default=0)
    return (len(groups) - largest + 1) // 2


def _draw_disjoint_parts(
    patient: Indices, n: int, random: np.random.Generator
) -> tuple[Indices, Indices]:
    """Indices of n samples twice, from the patients of one side and from those of the other."""
    order = random.permutation(patient.max() + 1)
    sizes = np.bincount(patient)[order].cumsum()
    first_side = np.isin(patient, order[: np.searchsorted(sizes, n) + 1])
    first = random.choice(np.flatnonzero(first_side), n, replace=False)
    second = random.choice(np.flatnonzero(~first_side), n, replace=False)
    return first, second


def check_features(x: Features, y: Features) -> tuple[Floats, Floats]:
    """Both sets as float64; a ValueError unless they are (N d) and (M d), N, M >= 2, and finite."""
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(
            f"features are {x.shape} and {y.shape}; expected (N d) and (M d) with N, M >= 2"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("features hold NaN or infinity; the extractor failed on some image")
    return x.astype(np.float64, copy=False), y.astype(np.float64, copy=False)


def _distance_from_factors(difference: Floats, a: Floats, b: Floats) -> float:
    """|difference|^2 + |a|_F^2 + |b|_F^2 - 2 |a b^T|_*, with |.|_* the nuclear norm (R5.3)."""
    nuclear = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    distance = float(difference @ difference + (a * a).sum() + (b * b).sum() - 2 * nuclear)
    return max(0.0, distance)  # rounding may take it below 0 by 1e-15 of the sum


def _sample_factor(x: Floats) -> Floats:
    """Factor (N d) of the sample covariance."""
    return (x - x.mean(0)) / np.sqrt(len(x) - 1)


def _covariance_factor(covariance: Features) -> Floats:
    """Factor (d d) of a covariance: its eigenvectors as rows, scaled."""
    values, vectors = np.linalg.eigh(np.atleast_2d(np.asarray(covariance, np.float64)))
    return (vectors * np.sqrt(values.clip(0))).T  # eigenvalues below 0 are rounding


def _draw_samples(x: Floats, n: int, random: np.random.Generator) -> Floats:
    return x[random.choice(len(x), n, replace=False)]


def _mean_of_draws(distances: list[float]) -> float:
    if not distances:
        raise ValueError("0 draws requested; give 1 or more")
    return float(np.mean(distances))
