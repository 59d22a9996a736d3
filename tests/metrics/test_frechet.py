"""Fréchet distance: closed forms, both forms against a matrix root, bias and floor at small N."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from bench.metrics.frechet import (
    distance_at_equal_size,
    distance_from_moments,
    distance_from_samples,
    floor_distance,
    frechet_distance,
    largest_disjoint_size,
)


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x.mean(0), np.cov(x, rowvar=False)


def by_matrix_root(x: np.ndarray, y: np.ndarray) -> float:
    """The published formula as it stands; the root of a singular product can be complex."""
    (mean_x, cov_x), (mean_y, cov_y) = moments(x), moments(y)
    root = np.real(np.trace(sqrtm(cov_x @ cov_y)))
    return float(np.sum((mean_x - mean_y) ** 2) + np.trace(cov_x) + np.trace(cov_y) - 2 * root)


def normals(n: int, d: int, seed: int, decay: float = 0.0) -> np.ndarray:
    """Independent normals with variances k^-decay."""
    return np.random.default_rng(seed).standard_normal((n, d)) * np.arange(1, d + 1) ** (-decay / 2)


# (N d): fewer samples than features are computed in the nuclear form, more from covariances.
SHAPES = [(12, 40), (200, 8), (2, 3), (30, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shifted_set_is_its_shift_squared_away(shape: tuple[int, ...]) -> None:
    x = normals(*shape, seed=0)
    shift = np.linspace(0.5, 2, shape[1])
    assert frechet_distance(x, x + shift) == pytest.approx(shift @ shift, rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_scaled_set_differs_by_the_trace(shape: tuple[int, ...]) -> None:
    # S2 = s^2 S1: tr(S1 + s^2 S1 - 2 s S1) = (1 - s)^2 tr S1, and the means differ by (1 - s) m
    x = normals(*shape, seed=1) + 0.3
    total = np.sum(x.var(0, ddof=1)) + np.sum(x.mean(0) ** 2)
    assert frechet_distance(x, 2.5 * x) == pytest.approx(1.5**2 * total, rel=1e-9)


def test_diagonal_covariances() -> None:
    # tr(S1 + S2 - 2 (S1 S2)^(1/2)) = sum (s1 - s2)^2 for standard deviations s1, s2
    first, second = np.array([1.0, 2.0, 0.0]), np.array([3.0, 2.0, 0.5])
    distance = distance_from_moments(
        np.zeros(3), np.diag(first**2), np.full(3, 2.0), np.diag(second**2)
    )
    assert distance == pytest.approx(3 * 4 + 4 + 0.25, abs=1e-12)


def test_points_by_hand() -> None:
    # Means 1 and 2, variances 2 and 8: 1 + (sqrt 8 - sqrt 2)^2 = 3.
    # In the other column both are constant.
    x, y = np.array([[0.0, 7.0], [2.0, 7.0]]), np.array([[0.0, 7.0], [4.0, 7.0]])
    assert distance_from_samples(x, y) == pytest.approx(3.0, abs=1e-12)
    assert distance_from_moments(*moments(x), *moments(y)) == pytest.approx(3.0, abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_identity_is_zero_in_both_forms_and_any_order(shape: tuple[int, ...]) -> None:
    x = normals(*shape, seed=2)
    shuffled = np.random.default_rng(0).permutation(x)
    scale = np.sum(x.var(0, ddof=1))
    assert distance_from_samples(x, shuffled) <= 1e-9 * scale
    assert frechet_distance(x, shuffled) <= 1e-9 * scale


def test_two_copies_of_one_set_are_at_zero() -> None:
    x = normals(20, 50, seed=3)
    assert frechet_distance(np.float32(x), np.float32(x)) <= 1e-9 * np.sum(x.var(0))


@pytest.mark.parametrize(
    "n, m, d", [(60, 60, 256), (60, 45, 200), (50, 900, 100), (900, 50, 100), (400, 300, 32)]
)
def test_both_forms_equal_the_matrix_root(n: int, m: int, d: int) -> None:
    x, y = normals(n, d, 4, decay=1), normals(m, d, 5, decay=0.8) + 0.01
    expected = by_matrix_root(x, y)
    assert distance_from_samples(x, y) == pytest.approx(expected, rel=1e-4)
    assert distance_from_moments(*moments(x), *moments(y)) == pytest.approx(expected, rel=1e-4)
    assert frechet_distance(x, y) == pytest.approx(distance_from_samples(x, y), rel=1e-6)


@settings(deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 12), st.integers(0, 10**6))
def test_symmetric_nonnegative_and_unchanged_by_rotation(n: int, m: int, d: int, seed: int) -> None:
    x, y = normals(n, d, seed), normals(m, d, seed + 1) * 2
    turn = np.linalg.qr(normals(d, d, seed + 2))[0]
    distance = frechet_distance(x, y)
    assert distance >= 0
    assert frechet_distance(y, x) == pytest.approx(distance, abs=1e-6)
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(distance, abs=1e-6)


def test_constant_features_are_allowed() -> None:
    assert frechet_distance(np.zeros((5, 3)), np.ones((5, 3))) == pytest.approx(3.0)
    assert frechet_distance(np.zeros((3, 9)), np.ones((3, 9))) == pytest.approx(9.0)


# Bias at small N


@pytest.mark.parametrize("n, expected", [(25, 125), (50, 105), (100, 86), (250, 64)])
def test_bias_between_samples_of_one_distribution(n: int, expected: float) -> None:
    # The table of R5.4: 2048 features, variances 1/k with sum 100
    scale = (100 / np.sum(1 / np.arange(1, 2049))) ** 0.5
    draws = [
        (normals(n, 2048, s, 1) * scale, normals(n, 2048, s + 50, 1) * scale) for s in range(3)
    ]
    assert np.mean([frechet_distance(x, y) for x, y in draws]) == pytest.approx(expected, rel=0.03)


def test_floor_is_what_reals_score_against_reals() -> None:
    real = normals(400, 64, seed=6, decay=1)
    expected = np.mean(
        [frechet_distance(normals(50, 64, s, 1), normals(50, 64, s + 99, 1)) for s in range(20)]
    )
    assert floor_distance(real, 50, draws=20, seed=0) == pytest.approx(expected, rel=0.05)


def test_floor_takes_disjoint_parts() -> None:
    # Each row has its own axis and length, and a shared row would shorten the distance.
    real = np.diag([1.0, 2.0, 3.0, 4.0])
    possible = []
    for i in (1, 2, 3):
        others = [j for j in (1, 2, 3) if j != i]
        possible.append(pytest.approx(frechet_distance(real[[0, i]], real[others])))
    assert floor_distance(real, 2, draws=1, seed=0) in possible


def test_at_equal_size_uses_n_of_both() -> None:
    real, fake = normals(300, 32, 7), normals(80, 32, 8) * 1.5
    of_40 = distance_at_equal_size(real, fake, 40, draws=20, seed=0)
    of_80 = distance_at_equal_size(real, fake, 80, draws=20, seed=0)
    assert of_40 > of_80 > frechet_distance(real, fake)
    of_all = distance_at_equal_size(real[:80], fake, 80, draws=3, seed=0)
    assert of_all == frechet_distance(real[:80], fake)


def test_draws_follow_the_seed() -> None:
    real, fake = normals(60, 8, 9), normals(60, 8, 10)
    first, again, other = (distance_at_equal_size(real, fake, 20, 3, seed) for seed in (1, 1, 2))
    assert first == again != other
    first, again, other = (floor_distance(real, 20, 3, seed) for seed in (1, 1, 2))
    assert first == again != other


# Errors


def test_features_that_do_not_fit_are_refused() -> None:
    x = np.zeros((4, 3))
    for other in (np.zeros((4, 2)), np.zeros(3), np.zeros((1, 3))):
        with pytest.raises(ValueError, match="expected \\(N d\\)"):
            frechet_distance(x, other)
    with pytest.raises(ValueError, match="NaN"):
        frechet_distance(x, np.full((4, 3), np.nan))


def test_more_samples_than_there_are_is_refused() -> None:
    x = normals(10, 3, 0)
    with pytest.raises(ValueError, match="give 2 to 5"):
        floor_distance(x, 6, 1, 0)
    with pytest.raises(ValueError, match="give 2 to 10"):
        distance_at_equal_size(x, x, 11, 1, 0)
    with pytest.raises(ValueError, match="0 draws"):
        floor_distance(x, 5, 0, 0)


@given(st.lists(st.integers(0, 4), min_size=3, max_size=20), st.integers(0, 2**32 - 1))
def test_parts_of_the_size_offered_can_always_be_drawn(patients: list[int], seed: int) -> None:
    """A distance to normal images once asked for larger parts than can be drawn by patient."""
    groups = [str(patient) for patient in patients]
    n = largest_disjoint_size(groups)
    assume(n >= 2)
    real = np.random.default_rng(seed).normal(size=(len(groups), 2))
    assert floor_distance(real, n, draws=3, seed=seed, groups=groups) >= 0
    with pytest.raises(ValueError, match="without a common patient"):
        floor_distance(real, n + 1, draws=1, seed=seed, groups=groups)
