"""Masks whose classes are coded as grey values or colours that dataset.toml names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.api import IGNORED, Card, RawCase
from bench.errors import DataProblem
from datasets.readers.masks import read_shown_levels
from datasets.readers.opening import open_picture


@dataclass(frozen=True, slots=True)
class MaskCodes:
    """What pixels of a mask hold for each class: values, or colours (red, green, blue)."""

    values: tuple[int, ...] = ()
    colours: tuple[tuple[int, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values or self.colours)


def with_ignored(raw: RawCase, card: Card) -> RawCase:
    """A case whose mask holds IGNORED in place of the number behind those of the classes."""
    if not card.ignore or raw.mask is None:
        return raw
    mask = np.where(raw.mask == len(card.classes), np.uint8(IGNORED), raw.mask)
    return replace(raw, mask=mask)


def read_coded_mask(path: Path, classes: Sequence[str], codes: MaskCodes) -> NDArray[np.uint8]:
    """A mask of class numbers (H W). Raises DataProblem on a pixel that has none of the codes."""
    if codes.values:
        return _numbers_of(path, read_shown_levels(path), codes.values, classes)
    colours = [_as_one(np.array(colour)) for colour in codes.colours]
    pixels = _as_one(_read_colours(path))
    return _numbers_of(path, pixels, [int(colour) for colour in colours], classes, codes.colours)


def _read_colours(path: Path) -> NDArray[np.uint8]:
    """The colours of a mask (H W 3). Raises DataProblem where a file keeps no exact ones."""
    if path.suffix.lower() == ".npy":
        raise DataProblem(
            f"{path}: an array where masks have colours; expected a picture; "
            "save it as png, or drop colours from dataset.toml"
        )
    with open_picture(path) as opened:
        if opened.is_lossy:
            raise DataProblem(
                f"{path}: colours of classes in a lossy file; expected png, tif, bmp or gif, "
                "which keep every colour; save the mask as one of these"
            )
        if opened.image.mode.startswith(("I", "F")):  # whose levels a conversion would cut to 255
            raise DataProblem(
                f"{path}: grey levels of more than 8 bits where masks have colours; "
                "save the mask with 8 bits"
            )
        return np.array(opened.image.convert("RGB"))


def _as_one(colours: NDArray[Any]) -> NDArray[np.int64]:
    """Colours (... 3) as one number each."""
    weights = np.array((65536, 256, 1), np.int64)
    return colours.astype(np.int64) @ weights


def _numbers_of(
    path: Path,
    pixels: NDArray[Any],
    codes: Sequence[int],
    classes: Sequence[str],
    shown: Sequence[object] = (),
) -> NDArray[np.uint8]:
    """The class number of each pixel (H W). Raises DataProblem on another code.

    `shown` has the codes as a user wrote them.
    """
    numbers = np.zeros(pixels.shape, np.uint8)
    is_known = np.zeros(pixels.shape, bool)
    for number, code in enumerate(codes):
        is_class = pixels == code
        numbers[is_class] = number
        is_known |= is_class
    if is_known.all():
        return numbers
    odd = pixels[~is_known]
    text = f"value {float(odd[0]):.9g}"
    if shown:
        code = int(odd[0])
        text = f"colour [{code >> 16}, {code >> 8 & 255}, {code & 255}]"
    meanings = zip(shown or codes, classes, strict=True)
    expected = ", ".join(f"{_shown(code)} ({name})" for code, name in meanings)
    raise DataProblem(
        f"{path}: {text} in {odd.size} pixels; expected {expected}, as dataset.toml says; "
        "fix the mask, or name that code too"
    )


def _shown(code: object) -> str:
    return str(list(code)) if isinstance(code, tuple) else str(code)
