"""Compares the palettes of a data set's masks: one number must have one colour in all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.errors import DataProblem
from datasets.readers.opening import open_picture


class Palette:
    """The colours of class numbers, as the masks that were read so far show them."""

    def __init__(self) -> None:
        self.first: dict[int, tuple[tuple[int, ...], Path]] = {}

    def compare(self, path: Path) -> None:
        """Raise DataProblem where a number has another colour than in a mask before.

        Programs that sort a palette anew for each file give one class several numbers. Pictures
        without a palette are passed over.
        """
        if path.suffix.lower() == ".npy":
            return
        with open_picture(path) as opened:
            if opened.image.mode != "P":
                return
            numbers = np.array(opened.image)
            colours = np.array(opened.image.convert("RGB"))
        present, places = np.unique(numbers, return_index=True)
        for number, place in zip(present.tolist(), places.tolist(), strict=True):
            colour = tuple(colours.reshape(-1, 3)[place].tolist())
            known, other = self.first.setdefault(number, (colour, path))
            if known != colour:
                raise DataProblem(
                    f"{path}: number {number} of its palette is {colour}; expected {known}, as in "
                    f"{other.name}; save all masks with one palette, or as grey class numbers"
                )
