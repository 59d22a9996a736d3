"""Near-duplicates: hash and thumbnail by hand, copies that are found, strangers that are not."""

import io
import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from bench.data.near_duplicates import (
    HASH_DISTANCE,
    close_hashes,
    confirmed,
    dhash,
    near_duplicates,
    thumbnail,
)

Picture = NDArray[np.uint8]  # 3 H W


def tissue(seed: int, side: int = 96) -> Picture:
    """A smooth random picture, as medical images are."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((3, side, side)), (0, 6, 6))
    return (255 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8)


def recompressed(image: Picture) -> Picture:
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "JPEG", quality=40)
    return np.asarray(Image.open(buffer)).transpose(2, 0, 1)


def halved(image: Picture) -> Picture:
    return np.asarray(Image.fromarray(image.transpose(1, 2, 0)).resize((48, 48))).transpose(2, 0, 1)


def brighter(image: Picture) -> Picture:
    return np.clip(1.1 * image, 0, 255).astype(np.uint8)


def near(first: Picture, second: Picture) -> list[tuple[int, int]]:
    one, two = (
        (np.array([dhash(image)]), np.stack([thumbnail(image)])) for image in (first, second)
    )
    return near_duplicates(*one, *two)


def test_hash_of_a_ramp_and_of_its_mirror() -> None:
    ramp = np.tile(np.arange(90, dtype=np.uint8), (80, 1))[None]
    assert dhash(ramp) == np.uint64(2**64 - 1)
    assert dhash(ramp[:, :, ::-1]) == 0
    assert dhash(np.full((1, 20, 20), 7, np.uint8)) == 0


def test_hash_does_not_depend_on_scale_or_type() -> None:
    image = tissue(1)
    assert (
        dhash(image)
        == dhash(image / np.float32(255))
        == dhash(1000 * image.astype(np.float32) - 3e4)
    )


def test_thumbnail_has_mean_0_and_deviation_1() -> None:
    small = thumbnail(tissue(2))
    assert small.shape == (32, 32)
    assert small.mean() == pytest.approx(0, abs=1e-5)
    assert small.std() == pytest.approx(1, abs=1e-5)
    assert not thumbnail(np.full((1, 40, 40), 9, np.uint8)).any()


def test_a_volume_is_hashed_by_its_middle_slice() -> None:
    volume = np.random.default_rng(0).standard_normal((1, 20, 24, 9))
    assert dhash(volume, 2) == dhash(volume[..., 4])
    assert dhash(volume) == dhash(volume[:, 10])
    np.testing.assert_array_equal(thumbnail(volume, 2), thumbnail(volume[..., 4]))


@pytest.mark.parametrize("change", [recompressed, halved, brighter])
@pytest.mark.parametrize("seed", range(5))
def test_a_changed_copy_is_found(change: Callable[[Picture], Picture], seed: int) -> None:
    image = tissue(seed)
    assert near(image, change(image)) == [(0, 0)]


def test_strangers_are_not_near() -> None:
    images = [tissue(seed) for seed in range(40)]
    hashes, thumbs = np.array([*map(dhash, images)]), np.stack([*map(thumbnail, images)])
    assert near_duplicates(hashes, thumbs, hashes, thumbs) == [(i, i) for i in range(40)]


def test_pictures_of_one_hash_are_told_apart_by_their_thumbnails() -> None:
    ramp = np.tile(np.linspace(0, 255, 96), (96, 1))
    steep = 255 * (ramp / 255) ** 6
    assert dhash(ramp[None]) == dhash(steep[None])
    assert near(ramp.astype(np.uint8)[None], steep.astype(np.uint8)[None]) == []


def test_close_hashes_counts_bits() -> None:
    base = np.array([0, 2**63], np.uint64)
    flips = np.array(
        [2**HASH_DISTANCE - 1, 2 ** (HASH_DISTANCE + 1) - 1], np.uint64
    )  # 4 and 5 bits
    assert close_hashes(base, flips).tolist() == [[0, 0]]


def test_empty_sides_give_no_pairs() -> None:
    none, thumbs = np.zeros(0, np.uint64), np.zeros((0, 32, 32), np.float32)
    assert near_duplicates(none, thumbs, none, thumbs) == []
    assert confirmed(np.zeros((0, 2), np.intp), thumbs, thumbs).shape == (0, 2)


def test_two_thousand_images_are_compared_within_a_second() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, 2000).astype(np.uint64)
    start = time.perf_counter()
    pairs = close_hashes(hashes, hashes)
    assert time.perf_counter() - start < 1
    assert pairs.tolist() == [[i, i] for i in range(2000)]


def test_blank_pictures_are_no_copies_of_each_other() -> None:
    """Found in a review: a black and a grey slice have one hash and one thumbnail."""
    blank = [np.full((1, 40, 40), value, np.uint8) for value in (0, 120)]
    hashes, thumbs = np.array([dhash(b) for b in blank]), np.stack([thumbnail(b) for b in blank])
    assert near_duplicates(hashes[:1], thumbs[:1], hashes[1:], thumbs[1:]) == []
