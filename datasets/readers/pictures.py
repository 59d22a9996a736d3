"""Decodes images and masks from picture files and .npy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.api import RawCase, Record
from bench.errors import DataProblem
from datasets.readers.pairing import LOSSY

Pixels = NDArray[Any]

MOST_CHANNELS = 16  # more in the last axis of an array means that its axes are in another order
RESIZED = "mask resized to its image by nearest neighbour"


def read_case(
    record: Record, channels: int, classes: Sequence[str], spacing: tuple[float, ...] | None = None
) -> RawCase:
    """Decode an image and unite its masks. Raises DataProblem naming the file."""
    assert record.image is not None
    image = read_image(record.image)
    if image.shape[0] != channels:
        raise DataProblem(
            f"{record.image}: {image.shape[0]} channels; expected {channels}, as the dataset has; "
            "save all images alike, in grey or in colour"
        )
    grid = image.shape[1:]
    masks = [read_mask(path, classes) for path in record.masks]
    resized = any(mask.shape != grid for mask in masks)
    notes = (RESIZED,) if resized else ()
    united = np.maximum.reduce([resize_mask(mask, grid) for mask in masks])
    return RawCase(image, united, spacing, notes)


def read_image(path: Path) -> Pixels:
    """An image (C H W), uint8 (0..255) or float32 (0..1). Raises DataProblem naming the file."""
    with naming_file(path):
        pixels = _load_array(path) if _is_array(path) else _load_picture(path)
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
    with naming_file(path):
        if _is_array(path):
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
            return shape[2] if len(shape) == 3 else 1
        with Image.open(path) as picture:
            return 1 if _is_grey(picture) else 3


def read_mask(path: Path, classes: Sequence[str]) -> NDArray[np.uint8]:
    """A mask of class numbers (H W). Raises DataProblem naming the file.

    Masks of two classes are cut at half of their range; masks of more classes hold class numbers.
    """
    if len(classes) > 2:
        return read_number_mask(path, classes)
    return _cut_at_half(path, _read_levels(path, numbered=False))


def read_number_mask(path: Path, classes: Sequence[str]) -> NDArray[np.uint8]:
    """A mask (H W) whose values are class numbers. Raises DataProblem naming the file."""
    return as_class_numbers(path, _read_levels(path, numbered=True), classes)


def _read_levels(path: Path, numbered: bool) -> Pixels:
    """The values of a mask file (H W). Raises DataProblem where they cannot be a mask."""
    with naming_file(path):
        levels = _load_mask_array(path) if _is_array(path) else _load_levels(path, numbered)
    is_grid = levels.ndim == 2 and levels.size > 0
    is_numeric = levels.dtype.kind in "buif"
    if not (is_grid and is_numeric and np.isfinite(levels).all()):
        raise DataProblem(
            f"{path}: a mask of shape {levels.shape} and type {levels.dtype}, or not of finite "
            "numbers; expected one grey level or class number for each pixel; "
            "save it as a grey picture"
        )
    return levels


def resize_mask(mask: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The mask on another grid (H W) by nearest neighbour, pixel centres matched."""
    nearest: list[NDArray[np.intp]] = []
    for old, new in zip(mask.shape, shape, strict=True):
        centres = (np.arange(new) + 0.5) * old / new
        nearest.append(centres.astype(int))
    return mask[np.ix_(*nearest)]


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into a DataProblem that names the file."""
    try:
        yield
    except DataProblem:
        raise
    # on damaged files decoders raise OSError, SyntaxError, struct.error and others
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataProblem(
            f"{path}: cannot be read ({reason}); expected a whole {path.suffix[1:]} file; "
            "copy it again"
        ) from error


def _is_array(path: Path) -> bool:
    return path.suffix.lower() == ".npy"


def _is_grey(picture: Image.Image) -> bool:
    return picture.mode in ("1", "L", "LA", "La", "I", "F") or picture.mode.startswith("I;16")


def _load_array(path: Path) -> Pixels:
    """H W or H W C from a .npy file, uint8 or float32 in 0..1."""
    pixels = np.load(path, allow_pickle=False)
    return pixels if pixels.dtype == np.uint8 else as_unit_floats(path, pixels)


def _load_picture(path: Path) -> Pixels:
    """H W of a grey picture, otherwise H W 3; alpha is dropped, palettes are looked up."""
    with Image.open(path) as picture:
        _refuse_pages(path, picture)
        if not _is_grey(picture):
            return np.array(picture.convert("RGB"))
        if picture.mode == "F":
            return as_unit_floats(path, np.array(picture))
        if picture.mode.startswith("I"):
            return as_unit_floats(path, np.array(picture) / np.float32(65535))
        return np.array(picture.convert("L"))


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
            f"{path}: values from {low:g} to {high:g} of full scale; expected 0 to 1 for floats "
            "and 0 to 65535 for whole numbers; rescale the image"
        )
    return pixels.astype(np.float32)


def _refuse_pages(path: Path, picture: Image.Image) -> None:
    """Raise DataProblem on a TIFF file of several pages."""
    pages = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
    if pages > 1:
        raise DataProblem(
            f"{path}: {pages} pages; expected one image per file; save each page on its own"
        )


def _load_mask_array(path: Path) -> Pixels:
    """H W from a .npy file of H W or H W 1; other shapes as they are."""
    levels = np.load(path, allow_pickle=False)
    return levels[:, :, 0] if levels.ndim == 3 and levels.shape[2] == 1 else levels


def _load_levels(path: Path, numbered: bool) -> Pixels:
    """The grey levels or palette numbers of a mask (H W). Raises DataProblem on one in colour."""
    with Image.open(path) as picture:
        _refuse_pages(path, picture)
        if picture.mode in ("1", "LA", "La"):
            return np.array(picture.convert("L"))
        if _is_grey(picture):
            return np.array(picture)
        colours = np.array(picture.convert("RGB"))
        is_palette = picture.mode == "P"
        is_colourless = (colours == colours[:, :, :1]).all()
        if is_colourless and not (numbered and is_palette):
            return colours[:, :, 0]
        if is_palette:  # its colours are for show
            return np.array(picture)
    raise DataProblem(
        f"{path}: a mask in colour; expected grey levels or class numbers; save it as grey"
    )


def _cut_at_half(path: Path, levels: Pixels) -> NDArray[np.uint8]:
    """Foreground (H W): above half of the range, or above 0 where the mask holds 0 and 1."""
    highest = levels.max()
    if path.suffix.lower() in LOSSY:  # an empty mask may hold stray ones here
        return (levels > 127).astype(np.uint8)
    if highest <= 1:
        threshold = 0.5 if levels.dtype.kind == "f" else 0
        return (levels > threshold).astype(np.uint8)
    half = 127 if highest <= 255 else 32767
    if highest <= half:
        raise DataProblem(
            f"{path}: mask values up to {highest:g}; expected 0 and 1, or 0 and full range "
            "(255 or 65535); if they are class numbers, name the classes in dataset.toml"
        )
    return (levels > half).astype(np.uint8)


def as_class_numbers(path: Path, levels: Pixels, classes: Sequence[str]) -> NDArray[np.uint8]:
    """The mask's values as uint8 (*S). Raises DataProblem on a value that is no class number."""
    expected = ", ".join(f"{number} ({name})" for number, name in enumerate(classes))
    if path.suffix.lower() in LOSSY:
        raise DataProblem(
            f"{path}: class numbers in a lossy file; expected png, tif, bmp or npy, "
            f"which keep {expected}; save the mask as one of these"
        )
    unknown = levels[~np.isin(levels, np.arange(len(classes)))]
    if unknown.size:
        raise DataProblem(
            f"{path}: mask value {unknown[0]:g}; expected the class numbers {expected}; "
            "fix the mask, or name all its classes"
        )
    return levels.astype(np.uint8)
