"""Decoding of all pictures and masks that the folder datasets accept, and what they refuse."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.api import Record
from bench.errors import DataProblem
from datasets.readers.pictures import (
    RESIZED,
    count_channels,
    read_case,
    read_image,
    read_mask,
    resize_mask,
)

TWO = ("background", "lesion")
THREE = ("background", "cyst", "solid")
GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
HALF = np.zeros((6, 8), np.uint8)
HALF[:, 4:] = 1


def save(path: Path, pixels: NDArray[Any] | Image.Image, **options: Any) -> Path:
    """Write an array or picture in the format of the path's ending."""
    if isinstance(pixels, Image.Image):
        pixels.save(path, **options)
    elif path.suffix == ".npy":
        np.save(path, pixels)
    else:
        Image.fromarray(pixels).save(path, **options)
    return path


def palette(numbers: NDArray[np.uint8], *colours: int) -> Image.Image:
    """An indexed picture with the given RGB palette."""
    picture = Image.fromarray(numbers, mode="P")
    picture.putpalette(colours)
    return picture


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "npy"])
def test_grey_images_keep_their_values(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"a.{ending}", GREY)
    image = read_image(path)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, GREY[None])
    assert count_channels(path) == 1


def test_colour_alpha_and_palette_become_rgb(tmp_path: Path) -> None:
    colour = np.stack([GREY, GREY + 50, GREY + 100, np.full_like(GREY, 255)], axis=2)
    for name, picture in [
        ("rgb.png", Image.fromarray(colour[:, :, :3])),
        ("rgba.png", Image.fromarray(colour)),
        (
            "indexed.png",
            palette(GREY, *(v for level in range(48) for v in (level, level + 50, level + 100))),
        ),
    ]:
        path = save(tmp_path / name, picture)
        np.testing.assert_array_equal(
            read_image(path), colour[:, :, :3].transpose(2, 0, 1), err_msg=name
        )
        assert count_channels(path) == 3


def test_grey_with_alpha_has_one_channel(tmp_path: Path) -> None:
    path = save(tmp_path / "la.png", Image.fromarray(GREY).convert("LA"))
    np.testing.assert_array_equal(read_image(path), GREY[None])
    assert count_channels(path) == 1


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bit_grey_keeps_the_units_of_the_file(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"deep.{ending}", np.array([[0, 65535], [13107, 1]], np.uint16))
    image = read_image(path)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, np.array([[[0, 65535], [13107, 1]]]))
    assert count_channels(path) == 1


def test_float_arrays_keep_their_values_and_channels(tmp_path: Path) -> None:
    pixels = np.linspace(0, 1, 36).reshape(3, 4, 3)
    path = save(tmp_path / "a.npy", pixels)
    np.testing.assert_allclose(read_image(path), pixels.transpose(2, 0, 1), rtol=1e-6)
    assert count_channels(path) == 3


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((4, 4), 1.5), "values from 0 to 1.5 of full scale; expected 0 to 1 for floats"),
        (np.full((4, 4), np.nan), "values from nan to nan of full scale; expected 0 to 1"),
        (np.zeros((4, 4), np.int64), "values of type int64; expected uint8, or floats from 0 to 1"),
        (np.zeros((3, 40, 40), np.uint8), r"shape \(3, 40, 40\); expected \(height, width\)"),
        (np.zeros((2, 2, 2, 2), np.uint8), r"shape \(2, 2, 2, 2\); expected"),
        (np.zeros((0, 4), np.uint8), r"shape \(0, 4\); expected"),
    ],
)
def test_arrays_that_are_no_images_are_refused(
    tmp_path: Path, pixels: NDArray[Any], words: str
) -> None:
    with pytest.raises(DataProblem, match=rf"a\.npy: {words}"):
        read_image(save(tmp_path / "a.npy", pixels))


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for ending in ("jpg", "png", "npy"):
        path = save(tmp_path / f"cut.{ending}", rng.integers(0, 256, (64, 64), np.uint8))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(
            DataProblem, match=rf"cut\.{ending}: cannot be read .*; expected a whole {ending} file"
        ):
            read_image(path)
        with pytest.raises(DataProblem, match=rf"cut\.{ending}: cannot be read"):
            read_mask(path, TWO)


def test_several_pages_are_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY)] * 3
    path = save(tmp_path / "stack.tif", pages[0], save_all=True, append_images=pages[1:])
    with pytest.raises(DataProblem, match=r"stack\.tif: 3 pages; expected one image per file"):
        read_image(path)


@pytest.mark.parametrize(
    "levels",
    [
        HALF,
        HALF * 255,
        HALF * 128,
        HALF.astype(bool),
        HALF * 0.9,
        HALF.astype(np.int64),
        HALF * np.uint16(65535),
        HALF * np.uint16(255),
        HALF[:, :, None],
    ],
)
def test_two_classes_are_told_apart_at_half_range(tmp_path: Path, levels: NDArray[Any]) -> None:
    mask = read_mask(save(tmp_path / "m.npy", levels), TWO)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, HALF)


def test_mask_pictures_of_every_kind(tmp_path: Path) -> None:
    white = Image.fromarray(HALF * 255)
    for name, picture in [
        ("grey.png", white),
        ("bits.png", white.convert("1")),
        ("colour.png", white.convert("RGB")),
        ("alpha.png", white.convert("RGBA")),
        ("grey_alpha.png", white.convert("LA")),
        ("grey_palette.png", palette(1 - HALF, 255, 255, 255, 0, 0, 0)),  # number 0 is white
        # dark red: below half range as a grey
        ("red_palette.png", palette(HALF, 0, 0, 0, 128, 0, 0)),
    ]:
        np.testing.assert_array_equal(
            read_mask(save(tmp_path / name, picture), TWO), HALF, err_msg=name
        )


def test_jpeg_masks_are_cut_at_127_however_dark_they_are(tmp_path: Path) -> None:
    levels = np.repeat(np.array([[0, 60, 200, 255]], np.uint8), 16, axis=0).repeat(16, axis=1)
    mask = read_mask(save(tmp_path / "m.jpg", levels, quality=95), TWO)
    np.testing.assert_array_equal(mask, levels > 127)
    stray = save(tmp_path / "empty.jpg", np.ones((16, 16), np.uint8), quality=100)
    assert not read_mask(stray, TWO).any()


@pytest.mark.parametrize("top", [2, 100])
def test_a_two_class_mask_of_other_values_is_refused(tmp_path: Path, top: int) -> None:
    path = save(tmp_path / "m.png", HALF * top)
    with pytest.raises(
        DataProblem,
        match=rf"m\.png: mask values up to {top}; expected 0 and 1, .* in dataset\.toml",
    ):
        read_mask(path, TWO)


def test_masks_in_colour_or_without_finite_numbers_are_refused(tmp_path: Path) -> None:
    red = np.zeros((6, 8, 3), np.uint8)
    red[:, 4:, 0] = 255
    with pytest.raises(DataProblem, match=r"red\.png: a mask in colour; expected grey levels"):
        read_mask(save(tmp_path / "red.png", red), TWO)
    for bad in (np.full((4, 4), np.nan), np.zeros((2, 3, 4)), np.zeros((0, 3))):
        with pytest.raises(
            DataProblem, match=r"m\.npy: a mask of shape .*; expected one grey level"
        ):
            read_mask(save(tmp_path / "m.npy", bad), TWO)


def test_with_more_classes_values_are_class_numbers(tmp_path: Path) -> None:
    numbers = (np.arange(48).reshape(6, 8) % 3).astype(np.uint8)
    stored: list[tuple[str, NDArray[Any] | Image.Image]] = [
        ("a.png", numbers),
        ("b.png", palette(numbers, 0, 0, 0, 128, 0, 0, 0, 128, 0)),
        ("c.png", palette(numbers, 0, 0, 0, 127, 127, 127, 255, 255, 255)),
        ("d.npy", numbers.astype(np.float64)),
    ]
    for name, mask in stored:
        np.testing.assert_array_equal(
            read_mask(save(tmp_path / name, mask), THREE), numbers, err_msg=name
        )


@pytest.mark.parametrize("value", [3, 255, -1, 0.5])
def test_a_value_outside_the_classes_is_named_with_them(tmp_path: Path, value: float) -> None:
    path = save(tmp_path / "m.npy", np.array([[0, 1], [2, value]]))
    words = (
        rf"m\.npy: mask value {value:g}; "
        r"expected the class numbers 0 \(background\), 1 \(cyst\), 2 \(solid\)"
    )
    with pytest.raises(DataProblem, match=words):
        read_mask(path, THREE)


def test_class_numbers_in_a_jpeg_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"m\.jpg: class numbers in a lossy file; expected png"):
        read_mask(save(tmp_path / "m.jpg", HALF), THREE)


def test_nearest_neighbour_by_hand() -> None:
    mask = np.array([[0, 1], [1, 0]], np.uint8)
    np.testing.assert_array_equal(
        resize_mask(mask, (4, 6)), mask.repeat(2, axis=0).repeat(3, axis=1)
    )
    np.testing.assert_array_equal(resize_mask(np.arange(6, dtype=np.uint8)[None], (1, 2)), [[1, 4]])
    np.testing.assert_array_equal(resize_mask(mask, (2, 2)), mask)


def test_masks_are_united_and_resized_with_a_note(tmp_path: Path) -> None:
    image = save(tmp_path / "a.png", GREY)
    one = save(tmp_path / "one.png", HALF * 255)
    quarter = np.repeat([[1, 0, 0, 0]], 3, axis=0).astype(np.uint8)
    left = save(tmp_path / "left.npy", quarter)
    case = read_case(Record("a", "a", None, image=image, masks=(one, left)), 1, TWO, (0.5, 0.5))
    assert case.mask is not None
    np.testing.assert_array_equal(case.mask, np.tile([1, 1, 0, 0, 1, 1, 1, 1], (6, 1)))
    assert case.notes == (RESIZED,)
    assert case.spacing == (0.5, 0.5)


def test_other_channels_than_the_dataset_has_are_refused(tmp_path: Path) -> None:
    record = Record(
        "a",
        "a",
        None,
        image=save(tmp_path / "a.png", GREY),
        masks=(save(tmp_path / "m.png", HALF),),
    )
    with pytest.raises(DataProblem, match=r"a\.png: 1 channels; expected 3, as the dataset has"):
        read_case(record, 3, TWO)


def test_masks_that_give_a_pixel_two_classes_are_named(tmp_path: Path) -> None:
    """The higher number won without a word."""
    save(tmp_path / "a.png", GREY)
    left = np.zeros_like(HALF)
    left[:, :5] = 1
    first = save(tmp_path / "a_mask_1.png", left)
    second = save(tmp_path / "a_mask_2.png", 2 * HALF)
    record = Record("a", "a", None, image=tmp_path / "a.png", masks=(first, second))
    with pytest.raises(DataProblem, match=r"a_mask_2\.png: 6 pixels of class 2 have another class"):
        read_case(record, 1, THREE)
    left[:, 4] = 0
    save(first, left)
    np.testing.assert_array_equal(read_case(record, 1, THREE).mask, left + 2 * HALF)


@pytest.mark.parametrize("ending", ["gif", "png", "tif"])
def test_a_one_frame_gif_is_read_as_other_pictures_are(tmp_path: Path, ending: str) -> None:
    np.testing.assert_array_equal(read_mask(save(tmp_path / f"m.{ending}", 255 * HALF), TWO), HALF)
    path = save(tmp_path / f"a.{ending}", GREY)
    np.testing.assert_array_equal(read_image(path), GREY[None])
    assert count_channels(path) == 1


def test_a_gif_in_colour_has_three_channels(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gif", palette(HALF, 9, 9, 9, 200, 100, 0))
    assert count_channels(path) == 3
    assert read_image(path)[:, 0, 7].tolist() == [200, 100, 0]
