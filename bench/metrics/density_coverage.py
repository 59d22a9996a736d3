"""Density and coverage of synthetic features: fidelity and diversity apart.

Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models, arXiv 2002.09797.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.metrics.frechet import Features, Floats, check_features

NEIGHBOURS = 5  # k, the paper's choice


class Coverage(NamedTuple):
    """Density, from 0 up, and coverage, a share in [0, 1]; see `density_and_coverage`."""

    density: float
    coverage: float


def density_and_coverage(real: Features, fake: Features, k: int = NEIGHBOURS) -> Coverage:
    """Density and coverage of features (N d) and (M d), from the balls around the reals.

    The open ball of a real reaches to its k-th nearest other real. Density is the mean number of
    balls that a synthetic sample lies in, over k; coverage is the share of balls that hold a
    synthetic sample. For two samples of one distribution density is 1 and coverage is
    1 - prod_i (N - i) / (M + N - i), i = 1..k, in expectation: 0.97 at k = 5 and large M = N.
    A ValueError unless 1 <= k < N.
    """
    from scipy.spatial.distance import cdist

    real, fake = check_features(real, fake)
    if not 1 <= k < len(real):
        raise ValueError(
            f"k = {k} does not fit {len(real)} real samples; give 1 to {len(real) - 1}"
        )
    radii = _distance_to_neighbour(cdist(real, real), k)
    inside = cdist(real, fake) < radii[:, None]  # N M
    density = float(inside.sum() / (k * len(fake)))
    return Coverage(density, coverage=float(inside.any(1).mean()))


def _distance_to_neighbour(distances: Floats, k: int) -> Floats:
    """Distance to the k-th nearest other sample, from all distances (N N); changes the diagonal."""
    np.fill_diagonal(distances, np.inf)
    radii: Floats = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii
