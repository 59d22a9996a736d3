"""Time of the Fréchet distance in both forms, and of all numbers of a set of synthetic images."""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.metrics.copies import find_copies
from bench.metrics.density_coverage import density_and_coverage
from bench.metrics.frechet import (
    distance_at_equal_size,
    distance_from_moments,
    distance_from_samples,
    floor_distance,
)
from bench.metrics.kid import kernel_distance


def normals(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) * np.arange(1, d + 1) ** -0.5


def through_covariances(x: np.ndarray, y: np.ndarray) -> float:
    return distance_from_moments(
        x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False)
    )


@pytest.mark.parametrize("form", [distance_from_samples, through_covariances])
def test_frechet_200_samples_2048_features(benchmark: BenchmarkFixture, form) -> None:
    """Inception features of a small set: what the small-sample form is for."""
    benchmark.group = "Fréchet distance, N = 200, d = 2048"
    x, y = normals(200, 2048, 0), normals(200, 2048, 1)
    rounds = 1 if form is through_covariances else 10
    distance = benchmark.pedantic(form, (x, y), rounds=rounds, warmup_rounds=rounds // 10)
    assert distance == pytest.approx(distance_from_samples(x, y), rel=1e-4)


def test_score_500_synthetic_images(benchmark: BenchmarkFixture) -> None:
    """Fréchet distance with its floor, KID, copies, coverage: 500 images a side, 128 features."""
    real = normals(500, 128, 2)
    fake = normals(500, 128, 3)
    pictures = np.random.default_rng(4).random((2, 500, 3, 64, 64), np.float32)

    def score() -> tuple[float, ...]:
        copies = find_copies(fake, real, pictures[0], pictures[1])
        distances = (
            distance_at_equal_size(real, fake, 250, 5, 0),
            floor_distance(real, 250, 5, 0),
            kernel_distance(real, fake),
        )
        return (*distances, *copies.rate(), *density_and_coverage(real, fake))

    assert np.isfinite(benchmark.pedantic(score, rounds=3, warmup_rounds=1)).all()
