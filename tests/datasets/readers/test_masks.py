"""Levels that may be classes are refused; smooth, lossy and deep masks still work."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from bench.errors import DataProblem
from datasets.readers.masks import HALF_BRIGHT, decode_mask, read_mask

TWO = ("background", "lesion")
THREE = ("background", "disc", "cup")
THIRDS = np.repeat(np.repeat([0, 1, 2], 10)[None], 30, axis=0)  # 30 30


def save(path: Path, pixels: NDArray[Any]) -> Path:
    if path.suffix == ".npy":
        np.save(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(
    "levels",
    [(0, 128, 255), (0, 64, 255), (0, 200, 255), (0, 1, 255), (0, 254, 255), (255, 128, 0)],
)
@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "npy"])
def test_three_levels_in_areas_are_a_problem(
    tmp_path: Path, levels: tuple[int, ...], ending: str
) -> None:
    """B13: disc and cup must not be merged."""
    path = save(tmp_path / f"m.{ending}", np.array(levels, np.uint8)[THIRDS])
    words = rf"m\.{ending}: at least three grey levels fill areas .*; expected two; .*dataset\.toml"
    with pytest.raises(DataProblem, match=words):
        read_mask(path, TWO)


@pytest.mark.parametrize(
    "levels",
    [
        np.array([0, 30000, 65535], np.uint16),
        np.array([0, 0.5, 1]),
        np.array([0, 0.25, 0.75], np.float32),
    ],
)
def test_three_levels_of_other_types_are_a_problem(tmp_path: Path, levels: NDArray[Any]) -> None:
    with pytest.raises(DataProblem, match="at least three grey levels"):
        read_mask(save(tmp_path / "m.npy", levels[THIRDS]), TWO)


def test_a_small_third_area_is_found_amid_smooth_outlines(tmp_path: Path) -> None:
    picture = Image.new("L", (2000, 2000))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((300, 300, 1700, 1700), fill=255)
    draw.rectangle((900, 900, 960, 960), fill=128)
    smooth = picture.resize((500, 500), Image.Resampling.BICUBIC)
    with pytest.raises(DataProblem, match="at least three grey levels"):
        read_mask(save(tmp_path / "m.png", np.array(smooth)), TWO)


def test_three_levels_in_a_jpeg_are_a_problem(tmp_path: Path) -> None:
    """Disc and cup as REFUGE-like copies have them, recompressed."""
    levels = np.array([0, 128, 255], np.uint8)[np.kron(THIRDS, np.ones((8, 8), int))]
    Image.fromarray(levels).save(tmp_path / "m.jpg", quality=90)
    with pytest.raises(DataProblem, match="at least three grey levels"):
        read_mask(tmp_path / "m.jpg", TWO)


@given(
    x=st.floats(30, 90),
    y=st.floats(30, 90),
    radius=st.floats(4, 30),
    angle=st.floats(0, 90),
    blur=st.sampled_from([0, 1, 2]),
)
@settings(max_examples=40, deadline=None)
def test_smooth_outlines_of_any_shape_still_work(
    tmp_path_factory: pytest.TempPathFactory,
    x: float,
    y: float,
    radius: float,
    angle: float,
    blur: int,
) -> None:
    picture = Image.new("L", (480, 480))
    box = [4 * (x - radius), 4 * (y - radius / 2), 4 * (x + radius), 4 * (y + radius / 2)]
    ImageDraw.Draw(picture).rectangle(box, fill=255)
    smooth = picture.rotate(angle).resize((120, 120), Image.Resampling.BOX)
    smooth = smooth.filter(ImageFilter.GaussianBlur(blur))
    folder = tmp_path_factory.mktemp("masks")
    levels = np.array(smooth)
    for name in ("m.png", "m.jpg"):
        smooth.save(folder / name)
    if levels.max() > 127:
        np.testing.assert_array_equal(read_mask(folder / "m.png", TWO), levels > 127)
    assert (read_mask(folder / "m.jpg", TWO) == (levels > 127)).mean() > 0.98


def test_noise_of_jpeg_masks_is_no_class(tmp_path: Path) -> None:
    """B38: levels 0 to 7 and 248 to 255."""
    noise = np.random.default_rng(0).integers(0, 8, (64, 64))
    levels = noise.copy()
    levels[20:40, 10:50] = 255 - noise[20:40, 10:50]
    path = save(tmp_path / "m.png", levels.astype(np.uint8))
    np.testing.assert_array_equal(read_mask(path, TWO), levels > 127)


@pytest.mark.parametrize("value", [-1, -0.9, -255])
def test_negative_values_are_refused(tmp_path: Path, value: float) -> None:
    """S6: they were background."""
    levels = np.zeros((8, 8))
    levels[2:6, 2:6] = value
    with pytest.raises(DataProblem, match=r"m\.npy: mask values from -"):
        read_mask(save(tmp_path / "m.npy", levels), TWO)


@pytest.mark.parametrize("value", [0.5, 0.1])
def test_a_mask_that_is_nowhere_above_a_half_is_refused(tmp_path: Path, value: float) -> None:
    """Values of 0 and 0.5 were background without a word."""
    levels = np.zeros((8, 8))
    levels[2:6, 2:6] = value
    with pytest.raises(DataProblem, match=rf"m\.npy: mask values up to {value}; expected 0 and 1"):
        read_mask(save(tmp_path / "m.npy", levels), TWO)


@pytest.mark.parametrize(
    "levels",
    [
        np.ones((4, 4), complex),
        np.full((4, 4), "1"),
        np.zeros((4, 4), "datetime64[D]"),
        np.zeros((4, 4), [("a", int)]),
        np.full((4, 4), np.inf),
    ],
)
@pytest.mark.parametrize("classes", [TWO, THREE])
def test_values_that_are_no_real_numbers_are_refused(
    tmp_path: Path, levels: NDArray[Any], classes: tuple[str, ...]
) -> None:
    with pytest.raises(DataProblem, match=r"m\.npy: a mask of shape .* and type"):
        read_mask(save(tmp_path / "m.npy", levels), classes)


def test_a_mask_of_half_brightness_is_noted(tmp_path: Path) -> None:
    half = np.where(THIRDS == 2, 128, 0).astype(np.uint8)
    mask = decode_mask(save(tmp_path / "m.png", half), TWO)
    assert mask.notes == (HALF_BRIGHT,)
    np.testing.assert_array_equal(mask.numbers, THIRDS == 2)
    assert decode_mask(save(tmp_path / "n.png", half * 2 - (half > 0)), TWO).notes == ()


@pytest.mark.parametrize("classes", [TWO, THREE])
def test_a_palette_whose_background_is_not_0_is_refused(
    tmp_path: Path, classes: tuple[str, ...]
) -> None:
    picture = Image.fromarray((THIRDS > 0).astype(np.uint8), mode="P")
    picture.putpalette([200, 0, 0, 0, 0, 0])
    picture.save(tmp_path / "m.png")
    with pytest.raises(DataProblem, match=r"m\.png: number 1 of its palette is black"):
        read_mask(tmp_path / "m.png", classes)


def test_class_numbers_in_a_jpeg_named_png_are_refused(tmp_path: Path) -> None:
    Image.fromarray(THIRDS.astype(np.uint8)).save(tmp_path / "m.png", format="JPEG")
    with pytest.raises(DataProblem, match=r"m\.png: class numbers in a lossy file"):
        read_mask(tmp_path / "m.png", THREE)


@pytest.mark.parametrize("white", [255, 65535])
@pytest.mark.parametrize("number", [1, 2, 7])
@pytest.mark.parametrize("side", [1, 3, 9])
def test_class_numbers_amid_white_are_a_problem(
    tmp_path: Path, white: int, number: int, side: int
) -> None:
    """Lesions of value 1 in a mask of 0 and 255 were background, however small or large."""
    levels = np.zeros((60, 60), np.uint16 if white > 255 else np.uint8)
    levels[10:30, 10:30] = white
    levels[40 : 40 + side, 40 : 40 + side] = number
    with pytest.raises(DataProblem, match="at least three grey levels"):
        read_mask(save(tmp_path / "m.png", levels), TWO)


def test_faint_rims_of_white_are_no_numbers(tmp_path: Path) -> None:
    levels = np.zeros((20, 20), np.uint8)
    levels[5:15, 5:15] = 255
    levels[4, 5:15] = 3
    np.testing.assert_array_equal(read_mask(save(tmp_path / "m.png", levels), TWO), levels > 127)


@pytest.mark.parametrize("bright", [1, 2, 60, 120])
def test_a_dark_area_of_a_lossy_mask_is_a_problem(tmp_path: Path, bright: int) -> None:
    """A mask of 0 and 1 saved as JPEG was empty."""
    levels = np.zeros((64, 64), np.uint8)
    levels[16:48, 16:40] = bright
    Image.fromarray(levels).save(tmp_path / "m.jpg", quality=100)
    with pytest.raises(DataProblem, match=r"m\.jpg: (mask values up to|at least three)"):
        read_mask(tmp_path / "m.jpg", TWO)


def test_an_empty_lossy_mask_stays_empty(tmp_path: Path) -> None:
    for level in (0, 1, 5):
        Image.new("L", (40, 40), level).save(tmp_path / "m.jpg")
        assert not read_mask(tmp_path / "m.jpg", TWO).any()
