"""Density and coverage of a synthetic feature set (Naeem et al. 2020): fidelity and diversity apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.metrics.frechet import Features, Floats, check_features

K = 5  # the paper's choice


class Coverage(NamedTuple):
    """`density`: mean number of real balls around a synthetic sample over k, 1 in expectation for one distribution.

    `coverage`: share in [0, 1] of the real balls that hold a synthetic sample.
    """

    density: float
    coverage: float


def density_and_coverage(real: Features, fake: Features, k: int = K) -> Coverage:
    """Of features (N d) and (M d); each real has an open ball that reaches to its k-th nearest other real.

    For one distribution coverage is 1 - prod_i (N - i) / (M + N - i), i = 1..k, in expectation: 0.97 at k = 5, M = N.
    """
    from scipy.spatial.distance import cdist

    real, fake = check_features(real, fake)
    if not 1 <= k < len(real):
        raise ValueError(
            f"k = {k} neighbours asked of {len(real)} real samples; give 1 to {len(real) - 1}"
        )
    inside = cdist(real, fake) < _reach(cdist(real, real), k)[:, None]  # N M
    return Coverage(float(inside.sum() / (k * len(fake))), float(inside.any(1).mean()))


def _reach(distances: Floats, k: int) -> Floats:
    """Distance to the k-th nearest other sample, from the table (N N) with its own zeros on the diagonal."""
    np.fill_diagonal(distances, np.inf)
    reach: Floats = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return reach
