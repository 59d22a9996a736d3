"""Copies: closed forms of the Wilson interval, and each rule by which an image is a copy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrics.copies import find_copies, wilson_interval
from bench.metrics.frechet import frechet_distance
from bench.metrics.ssim import ssim


def picture(seed: int, shape: tuple[int, ...] = (3, 24, 20)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


# Wilson


def test_wilson_at_none_and_all() -> None:
    # at 0 of n the upper end is z^2 / (n + z^2), and n of n mirrors it
    z = 1.959963984540054
    assert wilson_interval(0, 10) == pytest.approx((0, z * z / (10 + z * z)), abs=1e-12)
    assert wilson_interval(10, 10) == pytest.approx((10 / (10 + z * z), 1), abs=1e-12)
    assert wilson_interval(0, 10)[0] >= 0 and wilson_interval(10, 10)[1] <= 1


def test_wilson_at_one_half() -> None:
    # half-width z / (2 sqrt(n + z^2)) around 1/2
    half = 1.959963984540054 / (2 * math.sqrt(20 + 1.959963984540054**2))
    assert wilson_interval(10, 20) == pytest.approx((0.5 - half, 0.5 + half), rel=1e-12)


@given(st.integers(1, 500), st.data())
def test_wilson_ends_solve_the_score_equation(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    for end in wilson_interval(hits, n):
        # (p - end)^2 = z^2 end (1 - end) / n
        gap, spread = (hits / n - end) ** 2, 1.959963984540054**2 * end * (1 - end) / n
        assert gap == pytest.approx(spread, abs=1e-12)


@pytest.mark.parametrize("hits, n", [(0, 0), (3, 2), (-1, 4)])
def test_wilson_of_an_impossible_share_is_refused(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match="expected 0 <= hits"):
        wilson_interval(hits, n)


# Copies; the reals lie at 0, 10 and 14 of a line


REAL = np.array([[0.0], [10.0], [14.0]])
IMAGES = [picture(i) for i in range(3)]


def one(position: float, image: np.ndarray) -> tuple[int, float, float, bool]:
    """Nearest index, distance, ratio and flag of one sample, beside a far one that is no copy."""
    copies = find_copies(np.array([[position], [1e6]]), REAL, [image, picture(9)], IMAGES)
    assert not copies.copy[1]
    return int(copies.nearest[0]), copies.distance[0], copies.ratio[0], bool(copies.copy[0])


def test_near_and_alike_is_a_copy() -> None:
    assert one(13, IMAGES[2]) == (2, 1.0, 1 / 4, True)


def test_near_but_unlike_is_no_copy() -> None:
    assert one(13, picture(7)) == (2, 1.0, 1 / 4, False)


def test_alike_but_not_nearer_than_reals_are_to_each_other_is_no_copy() -> None:
    assert one(18, IMAGES[2]) == (2, 4.0, 1.0, False)
    assert one(-9.5, IMAGES[0]) == (0, 9.5, 0.95, True)


def test_distance_zero_is_a_copy_whatever_the_pixels() -> None:
    assert one(10, picture(7)) == (1, 0.0, 0.0, True)


def test_the_threshold_of_ssim_is_0_9() -> None:
    for noise, expected, copy in ((0.45, 0.910, True), (0.5, 0.891, False)):
        image = IMAGES[2] + noise * (picture(8) - 0.5)
        assert ssim(image, IMAGES[2]) == pytest.approx(expected, abs=0.001)
        assert one(13, image)[3] is copy


def test_a_twin_among_the_reals_hides_no_copy() -> None:
    real, images = np.array([[0.0], [0.0], [10.0]]), [IMAGES[0], IMAGES[0], IMAGES[1]]
    copies = find_copies(np.array([[0.5], [4.9]]), real, [IMAGES[0], picture(7)], images)
    assert copies.ratio == pytest.approx([0.05, 0.49])
    assert copies.copy.tolist() == [True, False]


def test_a_copied_set_is_all_copies() -> None:
    features = np.random.default_rng(0).random((30, 128))
    images = [picture(i) for i in range(30)]
    copied_images = [image.copy() for image in images]
    copies = find_copies(features, features.copy(), images, copied_images)
    assert copies.nearest.tolist() == list(range(30))
    assert copies.rate() == (1.0, *wilson_interval(30, 30))
    assert frechet_distance(features, features.copy()) == pytest.approx(0, abs=1e-9)


def test_independent_reals_hold_no_copies() -> None:
    random = np.random.default_rng(1)
    first, second = random.random((20, 16)), random.random((25, 16))
    first_images = [picture(i) for i in range(20)]
    second_images = [picture(i + 50) for i in range(25)]
    copies = find_copies(first, second, first_images, second_images)
    assert copies.rate()[0] == 0
    table = np.linalg.norm(first[:, None] - second[None], axis=2)
    assert copies.distance == pytest.approx(table.min(1))


def test_images_and_features_must_pair() -> None:
    with pytest.raises(ValueError, match="1 and 3 images for 2 and 3 features"):
        find_copies(REAL[:2], REAL, IMAGES[:1], IMAGES)
