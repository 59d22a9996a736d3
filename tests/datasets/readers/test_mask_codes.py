"""Masks coded in grey values or colours, and what is refused among them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api import Record
from bench.errors import DataProblem
from datasets.readers.mask_codes import MaskCodes, read_coded_mask
from datasets.readers.pictures import read_case

CLASSES = ("background", "cyst", "solid")
GREY = MaskCodes(values=(0, 128, 255))
COLOURS = MaskCodes(colours=((0, 0, 0), (255, 0, 0), (0, 255, 0)))
NUMBERS = np.array([[0, 1, 2, 0], [2, 2, 1, 0]], np.uint8)


def coloured(numbers: np.ndarray) -> np.ndarray:
    return np.array(COLOURS.colours, np.uint8)[numbers]


@pytest.mark.parametrize("name", ["m.png", "m.gif", "m.bmp", "m.tif"])
def test_values_become_class_numbers(tmp_path: Path, name: str) -> None:
    levels = np.array(GREY.values, np.uint8)[NUMBERS]
    Image.fromarray(levels).save(tmp_path / name)
    np.testing.assert_array_equal(read_coded_mask(tmp_path / name, CLASSES, GREY), NUMBERS)


def test_values_in_grey_that_is_stored_in_colour_or_as_an_array(tmp_path: Path) -> None:
    levels = np.array(GREY.values, np.uint8)[NUMBERS]
    Image.fromarray(np.repeat(levels[:, :, None], 3, axis=2)).save(tmp_path / "m.png")
    np.save(tmp_path / "m.npy", levels)
    for name in ("m.png", "m.npy"):
        np.testing.assert_array_equal(read_coded_mask(tmp_path / name, CLASSES, GREY), NUMBERS)


@pytest.mark.parametrize("name", ["m.png", "m.gif", "m.bmp"])
def test_colours_become_class_numbers(tmp_path: Path, name: str) -> None:
    Image.fromarray(coloured(NUMBERS)).save(tmp_path / name)
    np.testing.assert_array_equal(read_coded_mask(tmp_path / name, CLASSES, COLOURS), NUMBERS)


def test_a_value_that_is_not_named_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 7, 7]], np.uint8)).save(tmp_path / "m.png")
    words = (
        r"m\.png: value 7 in 2 pixels; expected 0 \(background\), 128 \(cyst\), 255 \(solid\), "
        "as dataset.toml says; fix the mask, or name that code too"
    )
    with pytest.raises(DataProblem, match=words):
        read_coded_mask(tmp_path / "m.png", CLASSES, GREY)


def test_a_colour_that_is_not_named_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[1, 2, 3]]], np.uint8)).save(tmp_path / "m.png")
    words = r"colour \[1, 2, 3\] in 1 pixels; expected \[0, 0, 0\] \(background\), \[255, 0, 0\]"
    with pytest.raises(DataProblem, match=words):
        read_coded_mask(tmp_path / "m.png", CLASSES, COLOURS)


@pytest.mark.parametrize("codes", [GREY, COLOURS])
def test_codes_in_a_lossy_file_are_refused(tmp_path: Path, codes: MaskCodes) -> None:
    Image.fromarray(coloured(NUMBERS) if codes.colours else NUMBERS).save(tmp_path / "m.jpg")
    with pytest.raises(DataProblem, match=r"m\.jpg: .* in a lossy file; expected png, tif, bmp or"):
        read_coded_mask(tmp_path / "m.jpg", CLASSES, codes)


def test_colours_in_an_array_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", NUMBERS)
    with pytest.raises(DataProblem, match="an array where masks have colours; expected a picture"):
        read_coded_mask(tmp_path / "m.npy", CLASSES, COLOURS)


@pytest.mark.parametrize(("convert", "channels"), [("grey", 1), ("rgb", 3)])
def test_images_are_converted(tmp_path: Path, convert: str, channels: int) -> None:
    red = np.zeros((2, 4, 3), np.uint8)
    red[:, :, 0] = 255
    Image.fromarray(red).save(tmp_path / "colour.png")
    Image.fromarray(np.full((2, 4), 9, np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(NUMBERS).save(tmp_path / "m.png")
    for name, levels in (("colour", {"grey": [76], "rgb": [255, 0, 0]}), ("grey", {})):
        record = Record("a", "a", None, None, tmp_path / f"{name}.png", (tmp_path / "m.png",))
        image = read_case(record, channels, CLASSES, convert=convert).image
        expected = levels.get(convert, [9] * channels)
        assert (image[:, 0, 0].tolist(), image.dtype) == (expected, np.uint8)


def test_arrays_of_other_channels_are_not_converted(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 4, 2), np.uint8))
    record = Record("a", "a", None, None, tmp_path / "a.npy", ())
    with pytest.raises(DataProblem, match=r"a\.npy: 2 channels; expected grey or RGB"):
        read_case(record, 1, CLASSES, convert="grey")
