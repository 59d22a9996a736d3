"""Decoding of images and masks from picture files and .npy arrays."""

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
    """Decode an image and unite its masks. Raises DataProblem naming the file that cannot be used."""
    assert record.image is not None
    image = read_image(record.image)
    if image.shape[0] != channels:
        raise DataProblem(
            f"{record.image}: {image.shape[0]} channels; expected {channels}, as the dataset has; "
            "save all images alike, in grey or in colour"
        )
    masks = [read_mask(path, classes) for path in record.masks]
    fitted = [fit_mask(mask, image.shape[1:]) for mask in masks]
    notes = (RESIZED,) if any(mask.shape != image.shape[1:] for mask in masks) else ()
    return RawCase(image, np.maximum.reduce(fitted), spacing, notes)


def read_image(path: Path) -> Pixels:
    """An image as C H W, uint8 (0..255) or float32 (0..1). Raises DataProblem naming the file."""
    with naming(path):
        pixels = _load_array(path) if path.suffix.lower() == ".npy" else _load_picture(path)
    if (
        pixels.ndim not in (2, 3)
        or not pixels.size
        or (pixels.ndim == 3 and pixels.shape[2] > MOST_CHANNELS)
    ):
        raise DataProblem(
            f"{path}: shape {pixels.shape}; expected (height, width) or (height, width, channels)"
        )
    channels_last = pixels if pixels.ndim == 3 else pixels[:, :, None]
    return np.ascontiguousarray(channels_last.transpose(2, 0, 1))


def channels_of(path: Path) -> int:
    """Channels of an image, from its header alone. Raises DataProblem naming the file."""
    with naming(path):
        if path.suffix.lower() == ".npy":
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
            return shape[2] if len(shape) == 3 else 1
        with Image.open(path) as picture:
            return 1 if _is_grey(picture) else 3


def read_mask(path: Path, classes: Sequence[str]) -> NDArray[np.uint8]:
    """A mask of class numbers (H W): two classes by threshold, more by value. Raises DataProblem."""
    numbered = len(classes) > 2
    levels = _levels(path, numbered)
    return class_numbers(path, levels, classes) if numbered else _binary(path, levels)


def read_numbers(path: Path, classes: Sequence[str]) -> NDArray[np.uint8]:
    """A mask of class numbers (H W), by value however few the classes are. Raises DataProblem."""
    return class_numbers(path, _levels(path, numbered=True), classes)


def _levels(path: Path, numbered: bool) -> Pixels:
    """What a mask file holds (H W). Raises DataProblem where that cannot be a mask."""
    with naming(path):
        levels = (
            _load_mask_array(path)
            if path.suffix.lower() == ".npy"
            else _load_levels(path, numbered)
        )
    if (
        levels.ndim != 2
        or not levels.size
        or levels.dtype.kind not in "buif"
        or not np.isfinite(levels).all()
    ):
        raise DataProblem(
            f"{path}: a mask of shape {levels.shape} and type {levels.dtype}, or not of finite numbers; "
            "expected one grey level or class number for each pixel; save it as a grey picture"
        )
    return levels


def fit_mask(mask: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The mask on another grid (H W) by nearest neighbour, pixel centres matched."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for old, new in zip(mask.shape, shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into a DataProblem that names the file."""
    try:
        yield
    except DataProblem:
        raise
    except (
        Exception
    ) as error:  # damaged files make decoders raise OSError, SyntaxError, struct.error, ...
        reason = " ".join(str(error).split())
        raise DataProblem(
            f"{path}: cannot be read ({reason}); expected a whole {path.suffix[1:]} file; copy it again"
        ) from error


def _is_grey(picture: Image.Image) -> bool:
    return picture.mode in ("1", "L", "LA", "La", "I", "F") or picture.mode.startswith("I;16")


def _load_array(path: Path) -> Pixels:
    """H W or H W C from a .npy file, uint8 or float32 in 0..1."""
    pixels = np.load(path, allow_pickle=False)
    return pixels if pixels.dtype == np.uint8 else unit_range(path, pixels)


def _load_picture(path: Path) -> Pixels:
    """H W of a grey picture, otherwise H W 3; alpha is dropped, palettes are looked up."""
    with Image.open(path) as picture:
        _refuse_pages(path, picture)
        if not _is_grey(picture):
            return np.array(picture.convert("RGB"))
        if picture.mode == "F":
            return unit_range(path, np.array(picture))
        if picture.mode.startswith("I"):
            return unit_range(path, np.array(picture) / np.float32(65535))
        return np.array(picture.convert("L"))


def unit_range(path: Path, pixels: Pixels) -> NDArray[np.float32]:
    """The pixels as float32. Raises DataProblem where they are not floats within 0..1."""
    if pixels.dtype.kind != "f":
        raise DataProblem(
            f"{path}: values of type {pixels.dtype}; expected uint8, or floats from 0 to 1"
        )
    low, high = pixels.min(initial=0), pixels.max(initial=0)
    if not (low >= 0 and high <= 1):
        raise DataProblem(
            f"{path}: values from {low:g} to {high:g} of full scale; expected 0 to 1 for floats and "
            "0 to 65535 for whole numbers; rescale the image"
        )
    return pixels.astype(np.float32)


def _refuse_pages(path: Path, picture: Image.Image) -> None:
    pages = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
    if pages > 1:
        raise DataProblem(
            f"{path}: {pages} pages; expected one image a file; save each page on its own"
        )


def _load_mask_array(path: Path) -> Pixels:
    levels = np.load(path, allow_pickle=False)
    return levels[:, :, 0] if levels.ndim == 3 and levels.shape[2] == 1 else levels


def _load_levels(path: Path, numbered: bool) -> Pixels:
    """The grey levels or palette numbers of a mask (H W). Raises DataProblem on a mask in colour."""
    with Image.open(path) as picture:
        _refuse_pages(path, picture)
        if _is_grey(picture):
            return np.array(picture.convert("L") if picture.mode in ("1", "LA", "La") else picture)
        colours = np.array(picture.convert("RGB"))
        if (colours == colours[:, :, :1]).all() and not (numbered and picture.mode == "P"):
            return colours[:, :, 0]
        if picture.mode == "P":  # the colours of the palette are for show
            return np.array(picture)
    raise DataProblem(
        f"{path}: a mask in colour; expected grey levels or class numbers; save it as grey"
    )


def _binary(path: Path, levels: Pixels) -> NDArray[np.uint8]:
    """Foreground (H W): above half range, or above 0 where the mask holds 0 and 1."""
    top = levels.max()
    if path.suffix.lower() in LOSSY:  # an empty mask may hold stray ones here
        return (levels > 127).astype(np.uint8)
    if top <= 1:
        return (levels > (0.5 if levels.dtype.kind == "f" else 0)).astype(np.uint8)
    half = 127 if top <= 255 else 32767
    if top <= half:
        raise DataProblem(
            f"{path}: mask values up to {top:g}; expected 0 and 1, or 0 and full range (255 or 65535); if "
            "they are class numbers, name the classes in dataset.toml"
        )
    return (levels > half).astype(np.uint8)


def class_numbers(path: Path, levels: Pixels, classes: Sequence[str]) -> NDArray[np.uint8]:
    """The mask's values as they are (*S). Raises DataProblem on a value that is no class number."""
    expected = ", ".join(f"{number} ({name})" for number, name in enumerate(classes))
    if path.suffix.lower() in LOSSY:
        raise DataProblem(
            f"{path}: class numbers in a lossy file; expected png, tif, bmp or npy, which keep {expected}"
        )
    strange = levels[~np.isin(levels, np.arange(len(classes)))]
    if strange.size:
        raise DataProblem(
            f"{path}: mask value {strange[0]:g}; expected the class numbers {expected}"
        )
    return levels.astype(np.uint8)
