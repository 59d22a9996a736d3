"""Pseudo-healthy images: closed forms of each metric, and ratios of sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrics.pseudo_healthy import (
    anomaly_score,
    harmonic_mean,
    healthiness,
    healthiness_dice,
    identity_score,
    lesion_pixels,
    mean_change,
)
from bench.stats.jackknife import pseudo_values_of_sums


def picture(seed: int, shape: tuple[int, ...] = (3, 48, 44)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def disc(side: int = 48, radius: int = 8) -> np.ndarray:
    grid = np.indices((side, side)) - side // 2
    return ((grid**2).sum(0) <= radius**2).astype(np.int64)


# Healthiness


def test_lesion_pixels_of_any_class_are_counted() -> None:
    maps = [np.zeros((4, 4), int), np.array([[0, 1], [2, 2]])]
    assert lesion_pixels(maps).tolist() == [0, 3]


def test_healthiness_of_identity_removal_and_growth() -> None:
    before = lesion_pixels([disc(), disc(radius=5)])
    for left, expected in ((before, 0), (0 * before, 1), (before / 4, 0.75), (2 * before, -1)):
        assert healthiness(np.stack([left, before], 1).sum(0)) == pytest.approx(expected, abs=1e-12)


def test_healthiness_without_a_lesion_is_undefined() -> None:
    assert np.isnan(healthiness(np.array([3.0, 0.0])))


def test_healthiness_is_a_ratio_of_sums_not_a_mean_of_ratios() -> None:
    counts = np.array([[[0.0, 90.0]], [[10.0, 10.0]]])  # two patients, one subset
    assert healthiness(counts.sum(0)) == pytest.approx([0.9])
    # n * all - (n - 1) * all but one: 2 * 0.9 - 0 and 2 * 0.9 - 1
    assert pseudo_values_of_sums(healthiness, counts) == pytest.approx(np.array([[1.8], [0.8]]))


@given(st.integers(1, 100), st.integers(0, 100), st.floats(0.1, 50))
def test_healthiness_does_not_depend_on_the_unit(before: int, left: int, unit: float) -> None:
    assert healthiness(unit * np.array([left, before])) == pytest.approx(
        1 - left / before, abs=1e-9
    )


def test_healthiness_dice_is_one_for_identity_and_zero_when_healed() -> None:
    mask = 2 * disc()
    assert healthiness_dice(disc(), mask) == 1  # of all classes as one
    assert healthiness_dice(np.zeros_like(mask), mask) == 0
    half = mask * (np.indices(mask.shape)[1] < 24)
    assert healthiness_dice(half, mask) == pytest.approx(
        2 * (half > 0).sum() / ((half > 0).sum() + (mask > 0).sum())
    )
    with pytest.raises(ValueError, match="empty"):
        healthiness_dice(mask, 0 * mask)


# Identity


def test_identity_ignores_the_lesion() -> None:
    image, mask = picture(4, (3, 48, 48)), disc()
    inside = np.where(mask == 1, 0.5, image)
    assert identity_score(image, inside, mask).value == pytest.approx(1, abs=1e-9)
    assert identity_score(image, inside, 0 * mask).value < 0.98
    outside = np.where(mask == 0, 0.5, image)
    assert identity_score(image, outside, mask).value < 0.75


def test_blurring_keeps_less_identity_than_copying() -> None:
    """A copy has identity 1; a blurred image stays below 0.9."""
    from scipy.ndimage import gaussian_filter

    image = picture(5, (1, 64, 64)).astype(float)
    blurred = gaussian_filter(image, (0, 2, 2))
    mask = disc(64)
    assert identity_score(image, image, mask).value == pytest.approx(1)
    assert identity_score(image, blurred, mask).value < 0.9


# Change, anomaly score, harmonic mean


def test_change_inside_and_outside_the_lesion() -> None:
    image, mask = picture(6, (3, 48, 48)).astype(float), disc()
    change = mean_change(image, image + np.where(mask == 1, 0.3, -0.02), mask)
    assert (change.inside, change.outside) == (pytest.approx(0.3), pytest.approx(0.02))
    nothing = mean_change(image, image + 0.1, 0 * mask)
    assert math.isnan(nothing.inside)
    assert nothing.outside == pytest.approx(0.1)


def test_anomaly_is_the_mean_change() -> None:
    image, mask = picture(7, (3, 48, 48)), disc()
    assert anomaly_score(image, image) == 0
    assert anomaly_score(image, image + 0.5 * mask) == pytest.approx(0.5 * mask.mean(), rel=1e-5)


def test_copying_and_destroying_have_no_harmonic_mean() -> None:
    means = harmonic_mean(np.array([0, 1, -0.5, 0.8, 1]), np.array([1, 0, 1, 0.8, 1 / 3]))
    np.testing.assert_allclose(means, [0, 0, 0, 0.8, 0.5])


def test_an_undefined_healthiness_gives_no_harmonic_mean() -> None:
    """It once became 0, which nobody had measured."""
    assert np.isnan(harmonic_mean(np.array(np.nan), np.array(0.9)))
