"""Fréchet distance of two feature sets, and what it needs beside it at small N: equal N and the real floor.

FID = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) (protocol R5.2). With factors S1 = A^T A and S2 = B^T B the last
trace is the nuclear norm of A B^T, so no matrix root is taken and nothing complex appears. The distance is biased
upward at small N (R5.4): compare only at equal N, beside `floor`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Features = NDArray[Any]  # N d, real numbers


def frechet_distance(x: Features, y: Features) -> float:
    """Fréchet distance of features (N d) and (M d), each with N, M >= 2; exact at any N, in the cheaper form."""
    x, y = check_features(x, y)
    if min(len(x), len(y)) < x.shape[1]:
        return from_samples(x, y)
    return from_moments(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))


def from_samples(x: Features, y: Features) -> float:
    """The small-sample form (protocol R5.3): the factors are the centred features; O(N M d), no d x d matrix."""
    x, y = check_features(x, y)
    return _distance(x.mean(0) - y.mean(0), _centred(x), _centred(y))


def from_moments(mean_x: Features, cov_x: Features, mean_y: Features, cov_y: Features) -> float:
    """The covariance form, of means (d) and covariances (d d); O(d^3) whatever N is. Singular ones are fine."""
    difference = np.subtract(mean_x, mean_y, dtype=np.float64)
    return _distance(difference, _factor(cov_x), _factor(cov_y))


def at_equal_size(real: Features, fake: Features, n: int, draws: int, seed: int) -> float:
    """Mean distance between n of the reals and n of the fakes, over `draws` seeded draws without replacement."""
    real, fake = check_features(real, fake)
    most = min(len(real), len(fake))
    if not 2 <= n <= most:
        raise ValueError(
            f"{n} a side asked of {len(real)} and {len(fake)} samples; give 2 to {most}"
        )
    if n == len(real) == len(fake):  # every draw would be everything
        return frechet_distance(real, fake)
    random = np.random.default_rng(seed)
    return _mean(
        [frechet_distance(_draw(real, n, random), _draw(fake, n, random)) for _ in range(draws)]
    )


def floor(
    real: Features, n: int, draws: int, seed: int, groups: Sequence[str] | None = None
) -> float:
    """What reals score against reals: mean distance of two parts of n, over `draws` seeded draws.

    The parts share no patient where `groups` names that of each sample: frames of one would make the floor too low.
    """
    real, _ = check_features(real, real)
    groups = groups if groups is not None else [str(i) for i in range(len(real))]
    named, most = np.unique(np.asarray(groups), return_inverse=True)[1], most_apart(groups)
    if not 2 <= n <= most:
        raise ValueError(
            f"two parts of {n} without a common patient asked of {len(real)} samples; give 2 to {most}"
        )
    random = np.random.default_rng(seed)
    parts = [_disjoint(named, n, random) for _ in range(draws)]
    return _mean([frechet_distance(real[one], real[other]) for one, other in parts])


def most_apart(groups: Sequence[str]) -> int:
    """The size of two parts that can always be drawn without a common patient from samples of these `groups`."""
    largest = max(
        Counter(groups).values(), default=0
    )  # the patient on the border may be the one with most samples
    return (len(groups) - largest + 1) // 2


def _disjoint(
    named: NDArray[np.intp], n: int, random: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Indices of n samples twice, from patients of one side and of the other."""
    order = random.permutation(named.max() + 1)
    sizes = np.bincount(named)[order].cumsum()
    first = np.isin(named, order[: np.searchsorted(sizes, n) + 1])
    return tuple(random.choice(np.flatnonzero(side), n, replace=False) for side in (first, ~first))  # type: ignore[return-value]


def check_features(x: Features, y: Features) -> tuple[Floats, Floats]:
    """Both sets as float64; a ValueError unless they are (N d) and (M d), N, M >= 2, and finite."""
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(
            f"features are {x.shape} and {y.shape}; expected (N d) and (M d) with N, M >= 2"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("features hold NaN or infinity; the extractor failed on some image")
    return x.astype(np.float64, copy=False), y.astype(np.float64, copy=False)


def _distance(difference: Floats, a: Floats, b: Floats) -> float:
    """|difference|^2 + |a|_F^2 + |b|_F^2 - 2 |a b^T|_*; rounding may go below 0 by 1e-15 of the sum, so cut there."""
    nuclear = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return max(0.0, float(difference @ difference + (a * a).sum() + (b * b).sum() - 2 * nuclear))


def _centred(x: Floats) -> Floats:
    """Factor (N d) of the sample covariance."""
    return (x - x.mean(0)) / np.sqrt(len(x) - 1)


def _factor(covariance: Features) -> Floats:
    """Factor (d d) of a covariance: its eigenvectors as rows, scaled; eigenvalues below 0 are rounding."""
    values, vectors = np.linalg.eigh(np.atleast_2d(np.asarray(covariance, np.float64)))
    return (vectors * np.sqrt(values.clip(0))).T


def _draw(x: Floats, n: int, random: np.random.Generator) -> Floats:
    return x[random.choice(len(x), n, replace=False)]


def _mean(distances: list[float]) -> float:
    if not distances:
        raise ValueError("0 draws asked; give 1 or more")
    return float(np.mean(distances))
