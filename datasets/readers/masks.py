"""Decodes masks from picture files and .npy arrays, and puts them on the grid of their image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataProblem
from datasets.readers.opening import is_grey, naming_file, open_picture

Pixels = NDArray[Any]

RESIZED = "mask resized to its image by nearest neighbour"
HALF_BRIGHT = "mask whose brightest level is neither 1 nor full range; its upper half is foreground"
ASPECT_TOLERANCE = 0.01
FULL_RANGES = (1, 255, 65535)
# Grey levels of a mask of two classes that may be classes of their own: see `_refuse_more_levels`.
FEW_LEVELS = 8
NEAR_BLACK_OR_WHITE = 16  # of 255: smooth rims fade out there
NEAR_BLACK_OR_WHITE_LOSSY = 64
NOISE_LOSSY = 8
MOST_LIKE_NUMBERS = 8  # of 255: grey levels that no averaging of black and white gives
FLAT_PIXELS = 9  # whose eight neighbours have their level: those of a square of 5 by 5


@dataclass(frozen=True, slots=True)
class Levels:
    """The values of a mask file."""

    values: Pixels  # H W
    is_lossy: bool


@dataclass(frozen=True, slots=True)
class Mask:
    """A decoded mask (H W) of class numbers, and what `data check` should say about it."""

    numbers: NDArray[np.uint8]
    notes: tuple[str, ...] = ()


def read_mask(path: Path, classes: Sequence[str]) -> NDArray[np.uint8]:
    """A mask of class numbers (H W). Raises DataProblem naming the file.

    Masks of two classes are cut at half of their range; masks of more classes hold class numbers.
    """
    return decode_mask(path, classes).numbers


def decode_mask(path: Path, classes: Sequence[str]) -> Mask:
    """A mask as `read_mask` reads it, with notes. Raises DataProblem naming the file."""
    if len(classes) > 2:
        return Mask(read_number_mask(path, classes))
    levels = _read_levels(path, numbered=False)
    numbers = _cut_at_half(path, levels)
    highest = levels.values.max()
    is_unusual = not levels.is_lossy and highest > 1 and highest not in FULL_RANGES
    notes = (HALF_BRIGHT,) if is_unusual else ()
    return Mask(numbers, notes)


def read_number_mask(path: Path, classes: Sequence[str]) -> NDArray[np.uint8]:
    """A mask (H W) whose values are class numbers. Raises DataProblem naming the file."""
    return as_class_numbers(path, read_numbers(path), classes)


def read_numbers(path: Path) -> Pixels:
    """The values (H W) of a file that should hold class numbers. Raises DataProblem naming it."""
    return _exact_values(path, _read_levels(path, numbered=True))


def read_shown_levels(path: Path) -> Pixels:
    """The grey levels (H W) of a mask as viewers show it, or the numbers of a coloured palette.

    Raises DataProblem naming the file.
    """
    return _exact_values(path, _read_levels(path, numbered=False))


def _exact_values(path: Path, levels: Levels) -> Pixels:
    """The values (H W) of a mask. Raises DataProblem where its file does not keep all of them."""
    if levels.is_lossy:
        raise DataProblem(
            f"{path}: class numbers in a lossy file; expected png, tif, bmp or npy, "
            "which keep every number; save the mask as one of these"
        )
    return levels.values


def as_class_numbers(path: Path, levels: Pixels, classes: Sequence[str]) -> NDArray[np.uint8]:
    """The mask's values as uint8 (*S). Raises DataProblem on a value that is no class number."""
    if levels.dtype.kind not in "buif":
        raise DataProblem(
            f"{path}: a mask of type {levels.dtype}; expected the class numbers "
            f"{_described(classes)}; save it as whole numbers"
        )
    unknown = levels[~np.isin(levels, np.arange(len(classes)))]
    if unknown.size:
        raise DataProblem(
            f"{path}: mask value {float(unknown[0]):.9g}; expected the class numbers "
            f"{_described(classes)}; fix the mask, or name all its classes"
        )
    return levels.astype(np.uint8)


def _described(classes: Sequence[str]) -> str:
    """The classes with their numbers, for a message."""
    return ", ".join(f"{number} ({name})" for number, name in enumerate(classes))


def refuse_other_aspect(
    path: Path, mask: tuple[int, ...], shape: tuple[int, ...], image: Path
) -> None:
    """Raise DataProblem where a mask's aspect ratio differs by more than 1% from its image's.

    Such a mask was turned or cropped, and stretching it would move its outline. Shapes are H W.
    """
    height, width = mask
    stretch = (height * shape[1]) / (width * shape[0])
    if abs(stretch - 1) > ASPECT_TOLERANCE:
        raise DataProblem(
            f"{path}: a mask of {height}x{width} pixels; expected {shape[0]}x{shape[1]}, "
            f"as {image.name}, or that aspect ratio; turn, crop or draw it as its image is"
        )


def resize_mask(mask: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The mask on another grid (H W) by nearest neighbour, pixel centres matched."""
    nearest: list[NDArray[np.intp]] = []
    for old, new in zip(mask.shape, shape, strict=True):
        centres = (np.arange(new) + 0.5) * old / new
        nearest.append(centres.astype(int))
    return mask[np.ix_(*nearest)]


def _read_levels(path: Path, numbered: bool) -> Levels:
    """The values of a mask file. Raises DataProblem where they cannot be a mask."""
    if path.suffix.lower() == ".npy":
        with naming_file(path):
            levels = Levels(_load_array(path), is_lossy=False)
    else:
        levels = _load_picture(path, numbered)
    values = levels.values
    is_grid = values.ndim == 2 and values.size > 0
    is_numeric = values.dtype.kind in "buif"
    if not (is_grid and is_numeric and np.isfinite(values).all()):
        raise DataProblem(
            f"{path}: a mask of shape {values.shape} and type {values.dtype}, or not of finite "
            "numbers; expected one grey level or class number for each pixel; "
            "save it as a grey picture"
        )
    return levels


def _load_array(path: Path) -> Pixels:
    """H W from a .npy file of H W, H W 1 or 1 H W; other shapes as they are."""
    levels = np.load(path, allow_pickle=False)
    if levels.ndim != 3:
        return levels
    if levels.shape[2] == 1:
        return levels[:, :, 0]
    return levels[0] if levels.shape[0] == 1 else levels


def _load_picture(path: Path, numbered: bool) -> Levels:
    """The grey levels or palette numbers of a mask. Raises DataProblem on one in colour."""
    with open_picture(path) as opened:
        if opened.is_inverted:
            raise DataProblem(
                f"{path}: a mask in which 0 is stored as white (MINISWHITE); expected 0 to be "
                "black, as some programs show it inverted and others do not; save it as png"
            )
        picture = opened.image
        if picture.mode in ("1", "LA", "La"):
            return Levels(np.array(picture.convert("L")), opened.is_lossy)
        if is_grey(picture):
            return Levels(np.array(picture), opened.is_lossy)
        colours = np.array(picture.convert("RGB"))
        is_palette = picture.mode == "P"
        is_colourless = bool((colours == colours[:, :, :1]).all())
        if is_colourless and not (numbered and is_palette):
            return Levels(colours[:, :, 0], opened.is_lossy)
        if is_palette:
            numbers = _palette_numbers(path, np.array(picture), colours)
            return Levels(numbers, opened.is_lossy)
    raise DataProblem(
        f"{path}: a mask in colour; expected grey levels or class numbers; save it as grey, or "
        "name the colours of the classes in a dataset.toml"
    )


def _palette_numbers(path: Path, numbers: Pixels, colours: Pixels) -> Pixels:
    """The palette numbers (H W) of a mask, whose colours (H W 3) are for show.

    Raises DataProblem where a number other than 0 is black: the palette was then sorted by a
    program, and its numbers are no classes.
    """
    is_black = (colours == 0).all(axis=2)
    black = numbers[is_black & (numbers != 0)]
    if black.size:
        raise DataProblem(
            f"{path}: number {black[0]} of its palette is black; expected 0 to be the background; "
            "save the class numbers as grey levels"
        )
    return numbers


def _cut_at_half(path: Path, levels: Levels) -> NDArray[np.uint8]:
    """Foreground (H W): above half of the range, or above 0 where the mask holds 0 and 1."""
    values = levels.values
    lowest = values.min()
    highest = values.max()
    if lowest < 0 or highest > 65535:
        raise DataProblem(
            f"{path}: mask values from {lowest:g} to {highest:g}; expected 0 and 1, or 0 and full "
            "range (255 or 65535); save it as a grey picture"
        )
    _refuse_more_levels(path, levels)
    if levels.is_lossy:  # an empty mask may hold stray ones here
        _refuse_dark_areas(path, values)
        return (values > 127).astype(np.uint8)
    if 0 < highest <= 0.5:
        raise DataProblem(
            f"{path}: mask values up to {highest:g}; expected 0 and 1; if they are probabilities, "
            "save where they are above a half"
        )
    if highest <= 1:
        threshold = 0.5 if values.dtype.kind == "f" else 0
        return (values > threshold).astype(np.uint8)
    half = 127 if highest <= 255 else 32767
    if highest <= half:
        raise DataProblem(
            f"{path}: mask values up to {highest:g}; expected 0 and 1, or 0 and full range "
            "(255 or 65535); if they are class numbers, name the classes in dataset.toml"
        )
    return (values > half).astype(np.uint8)


def _refuse_more_levels(path: Path, levels: Levels) -> None:
    """Raise DataProblem where levels between black and white fill areas: they may be classes.

    In the rim of a smooth outline a level is one pixel wide, so that no pixel has it on all sides.
    """
    from scipy import ndimage  # a second to import

    grey = _as_bytes(levels.values)
    present = np.flatnonzero(np.bincount(grey.ravel(), minlength=256))
    low = 0
    high = int(present[-1])
    if levels.is_lossy:
        low = NEAR_BLACK_OR_WHITE_LOSSY
        high = 255 - NEAR_BLACK_OR_WHITE_LOSSY
    elif len(present) > FEW_LEVELS:
        low = NEAR_BLACK_OR_WHITE
        high -= NEAR_BLACK_OR_WHITE
    between = (grey > low) & (grey < high)
    if not between.any():
        return
    most_spread = NOISE_LOSSY if levels.is_lossy else 0
    brightest = ndimage.maximum_filter(grey, 3).astype(int)
    spread = brightest - ndimage.minimum_filter(grey, 3)
    flat = grey[between & (spread <= most_spread)]
    is_alone = between & (brightest <= MOST_LIKE_NUMBERS)
    has_numbers = low == 0 and high > MOST_LIKE_NUMBERS and bool(is_alone.any())
    if flat.size < FLAT_PIXELS and not has_numbers:
        return
    if has_numbers:
        flat = grey[is_alone]
    middle = int(np.bincount(flat).argmax())
    raise DataProblem(
        f"{path}: at least three grey levels fill areas (0, {middle} and {present[-1]} of 255); "
        "expected two; if they are classes, name the classes in dataset.toml, with their levels as "
        "values, or save the mask as class numbers"
    )


def _refuse_dark_areas(path: Path, values: Pixels) -> None:
    """Raise DataProblem on a lossy mask that is dark as a whole and still shows an area."""
    from scipy import ndimage

    if values.max() > 127 or values.min() == values.max():
        return
    shown = (values > values.min()) & (ndimage.minimum_filter(values, 3) == values)
    flat = shown & (ndimage.maximum_filter(values, 3) == values)
    if flat.sum() >= FLAT_PIXELS:
        raise DataProblem(
            f"{path}: mask values up to {values.max()} in a lossy file; expected 0 and 255; "
            "save it as a png with 0 and 255"
        )


def _as_bytes(values: Pixels) -> NDArray[np.uint8]:
    """The levels (H W) on a scale of 0 to 255, whatever their range was."""
    highest = values.max()
    if highest <= 1:
        return (values * 255.0).astype(np.uint8)
    if highest <= 255:
        return values.astype(np.uint8)
    return np.ceil(values / 257).astype(np.uint8)  # 1 of 65535 is a level of its own
