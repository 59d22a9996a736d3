"""Density and coverage: by hand, closed forms and the expectation in the paper."""

import numpy as np
import pytest

from bench.metrics.density_coverage import density_and_coverage


def draws(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


@pytest.mark.parametrize("k", [1, 5, 19])
def test_identical_sets_are_one_and_one(k: int) -> None:
    # an open ball to the k-th neighbour holds its own centre and k - 1 others
    x = draws(20, 3, 0)
    assert density_and_coverage(x, x, k) == (1.0, 1.0)


def test_by_hand() -> None:
    # With k = 1 the balls around 0, 1, 3, 6 reach 1, 1, 2, 3.
    # 0.5 lies in those of 0 and 1, 3.5 in those of 3 and 6, and 20 in none.
    real, fake = np.array([[0.0], [1.0], [3.0], [6.0]]), np.array([[0.5], [0.5], [3.5], [20.0]])
    assert density_and_coverage(real, fake, 1) == (6 / 4, 1.0)
    assert density_and_coverage(real, fake[:2], 1) == (4 / 2, 0.5)


def test_far_samples_cover_nothing() -> None:
    assert density_and_coverage(draws(30, 4, 1), draws(30, 4, 2) + 100) == (0.0, 0.0)


def test_one_sample_repeated_covers_the_balls_around_it_and_no_more() -> None:
    # b balls around one point: density b / k, however often it is repeated, and coverage b / N
    real = draws(100, 4, 3)
    density, coverage = density_and_coverage(real, np.tile(real.mean(0), (100, 1)))
    assert density * 5 == pytest.approx(coverage * 100)
    assert 0 < coverage < 0.5


@pytest.mark.parametrize("n, m, k", [(40, 40, 5), (30, 10, 3)])
def test_expectation_for_one_distribution(n: int, m: int, k: int) -> None:
    scores = np.array(
        [density_and_coverage(draws(n, 2, s), draws(m, 2, s + 10**6), k) for s in range(400)]
    )
    error = scores.std(0) / len(scores) ** 0.5
    i = np.arange(1, k + 1)
    expected = (1.0, 1 - np.prod((n - i) / (m + n - i)))
    assert np.all(np.abs(scores.mean(0) - expected) < 3 * error)


def test_too_few_reals_are_refused() -> None:
    with pytest.raises(ValueError, match="give 1 to 4"):
        density_and_coverage(draws(5, 2, 0), draws(5, 2, 1), 5)
