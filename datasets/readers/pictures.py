"""Decodes images from picture files and .npy arrays, with their masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.api import RawCase, Record
from bench.errors import DataProblem
from datasets.readers.mask_codes import MaskCodes, read_coded_mask
from datasets.readers.masks import RESIZED as RESIZED
from datasets.readers.masks import Mask, decode_mask, refuse_other_aspect
from datasets.readers.masks import as_class_numbers as as_class_numbers
from datasets.readers.masks import read_mask as read_mask
from datasets.readers.masks import read_number_mask as read_number_mask
from datasets.readers.masks import resize_mask as resize_mask
from datasets.readers.opening import is_grey, open_header, open_picture
from datasets.readers.opening import naming_file as naming_file

Pixels = NDArray[Any]

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue: ITU-R BT.601
DEEP = "grey of more than 8 bits, scaled by the range of each image"
MOST_CHANNELS = 16  # more in the last axis of an array means that its axes are in another order


def read_case(
    record: Record,
    channels: int,
    classes: Sequence[str],
    spacing: tuple[float, ...] | None = None,
    squeezed: tuple[int, ...] | None = None,
    convert: str = "",
    codes: MaskCodes | None = None,
) -> RawCase:
    """Decode an image and unite its masks. Raises DataProblem naming the file.

    A mask of another size is resized if its aspect ratio is that of the image, or if the image has
    the size (H W) to which images are known to have been `squeezed` after their masks were drawn.
    `convert` turns images to "grey" or "rgb"; `codes` are what masks hold for each class.
    """
    assert record.image is not None
    image = _converted(record.image, read_image(record.image), convert)
    if image.shape[0] != channels:
        raise DataProblem(
            f"{record.image}: {image.shape[0]} channels; expected {channels}, as the dataset has; "
            "save all images alike, in grey or in colour"
        )
    grid = image.shape[1:]
    on_grid: list[NDArray[np.uint8]] = []
    notes: set[str] = set()
    if image.dtype != np.uint8 and image.max() > 1:
        notes.add(DEEP)
    for path in record.masks:
        mask = _decode_mask(path, classes, codes)
        numbers = mask.numbers
        notes.update(mask.notes)
        if numbers.shape != grid:
            notes.add(RESIZED)
            if grid != squeezed:
                refuse_other_aspect(path, numbers.shape, grid, record.image)
        on_grid.append(resize_mask(numbers, grid))
    _refuse_two_classes_at_once(record.masks, on_grid)
    return RawCase(image, np.maximum.reduce(on_grid), spacing, tuple(sorted(notes)))


def _decode_mask(path: Path, classes: Sequence[str], codes: MaskCodes | None) -> Mask:
    if codes:
        return Mask(read_coded_mask(path, classes, codes))
    return decode_mask(path, classes)


def _converted(path: Path, image: Pixels, convert: str) -> Pixels:
    """An image (C H W) in grey or in colour, as asked for. Raises DataProblem on other channels."""
    if not convert:
        return image
    if len(image) not in (1, 3):
        raise DataProblem(
            f"{path}: {len(image)} channels; expected grey or RGB, as dataset.toml asks to convert "
            "images; drop convert from it"
        )
    if convert == "grey":
        return to_grey(image)
    return image if len(image) == 3 else np.repeat(image, 3, axis=0)


def to_grey(image: Pixels) -> Pixels:
    """The luminance (1 H W) of an image (C H W); grey stored in colour keeps its values."""
    if len(image) == 1:
        return image
    levels = np.average(image, axis=0, weights=LUMA)[None]
    if image.dtype == np.uint8:
        return levels.round().astype(np.uint8)
    return levels.astype(np.float32)


def _refuse_two_classes_at_once(paths: Sequence[Path], masks: Sequence[NDArray[np.uint8]]) -> None:
    """Raise DataProblem where masks of one image give a pixel different classes."""
    united = masks[0]
    for path, mask in zip(paths[1:], masks[1:], strict=True):
        clashes = (united > 0) & (mask > 0) & (united != mask)
        if clashes.any():
            number = int(mask[clashes][0])
            raise DataProblem(
                f"{path}: {int(clashes.sum())} pixels of class {number} have another class in a "
                f"mask before ({paths[0].name} and so on); expected one class for each pixel; "
                "draw one mask, or remove the overlap"
            )
        united = np.maximum(united, mask)


def read_image(path: Path) -> Pixels:
    """An image (C H W), upright as viewers show it. Raises DataProblem naming the file.

    uint8 (0..255) or float32 (0..1); grey of more than 8 bits is float32 in the units of the file,
    which the harness scales by its own range, as it does with slices of volumes.
    """
    if _is_array(path):
        with naming_file(path):
            pixels = _load_array(path)
    else:
        pixels = _load_picture(path)
    if not _is_image_shape(pixels.shape):
        raise DataProblem(
            f"{path}: shape {pixels.shape}; expected (height, width) or (height, width, channels); "
            "save the image with its axes in this order"
        )
    channels_last = pixels if pixels.ndim == 3 else pixels[:, :, None]
    return np.ascontiguousarray(channels_last.transpose(2, 0, 1))


def _is_image_shape(shape: tuple[int, ...]) -> bool:
    """Whether a shape may be H W, or H W C with a plausible number of channels."""
    if 0 in shape:
        return False
    if len(shape) == 3:
        return shape[2] <= MOST_CHANNELS
    return len(shape) == 2


def count_channels(path: Path) -> int:
    """The channels of an image, from its header alone. Raises DataProblem naming the file."""
    if _is_array(path):
        with naming_file(path):
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
        has_channels = len(shape) == 3 and not _is_grey_stack(shape)
        return shape[2] if has_channels else 1
    with open_header(path) as picture:
        return 1 if is_grey(picture) or _is_grey_gif(picture) else 3


def _is_array(path: Path) -> bool:
    return path.suffix.lower() == ".npy"


def _is_grey_stack(shape: tuple[int, ...]) -> bool:
    """Whether a shape is 1 H W: one grey channel, given first."""
    return len(shape) == 3 and shape[0] == 1 and shape[1] > 1 and shape[2] > MOST_CHANNELS


def _load_array(path: Path) -> Pixels:
    """H W or H W C from a .npy file, uint8 or float32 in 0..1."""
    pixels = np.load(path, allow_pickle=False)
    if _is_grey_stack(pixels.shape):
        pixels = pixels[0]
    return pixels if pixels.dtype == np.uint8 else as_unit_floats(path, pixels)


def _load_picture(path: Path) -> Pixels:
    """H W of a grey picture, otherwise H W 3; palettes are looked up."""
    with open_picture(path) as opened:
        picture = opened.image
        if _is_grey_gif(picture):
            return np.array(picture.convert("L"))
        if not is_grey(picture):
            return np.array(picture.convert("RGB"))
        if picture.mode == "F":
            return as_unit_floats(path, np.array(picture))
        if picture.mode.startswith("I"):
            return np.array(picture).astype(np.float32)
        return np.array(picture.convert("L"))


def _is_grey_gif(picture: Image.Image) -> bool:
    """Whether a picture is a GIF without colours: GIF has no grey, but palettes of greys."""
    if picture.format != "GIF" or picture.mode != "P":
        return False
    colours = np.array(picture.getpalette("RGB")).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def as_unit_floats(path: Path, pixels: Pixels) -> NDArray[np.float32]:
    """The pixels as float32. Raises DataProblem where they are not floats within 0..1."""
    if pixels.dtype.kind != "f":
        raise DataProblem(
            f"{path}: values of type {pixels.dtype}; expected uint8, or floats from 0 to 1; "
            "convert the image"
        )
    low = pixels.min(initial=0)
    high = pixels.max(initial=0)
    if not (low >= 0 and high <= 1):  # written so that NaN is refused too
        raise DataProblem(
            f"{path}: values from {low:g} to {high:g} of full scale; expected 0 to 1 for floats; "
            "rescale the image"
        )
    return pixels.astype(np.float32)
