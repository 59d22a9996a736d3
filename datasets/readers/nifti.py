"""Decoding of NIfTI files with the axes turned round: files give (X Y Z), the harness takes (Z Y X)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataProblem
from datasets.readers.pictures import class_numbers, naming

Spacing = tuple[float, ...] | None


def ndim_of(path: Path) -> int:
    """2 for a single slice, 3 for a volume, from the header alone. Raises DataProblem naming the file."""
    return len(_grid(path, _open(path).shape))


def read_nifti(path: Path) -> tuple[NDArray[np.float32], Spacing]:
    """An image (*S, slices first) and its spacing in mm along these axes. Raises DataProblem."""
    file = _open(path)
    grid = _grid(path, file.shape)
    with naming(path):
        pixels = file.get_fdata(dtype=np.float32, caching="unchanged")
        zooms = [float(step) for step in file.header.get_zooms()]
    if not np.isfinite(pixels).all():
        raise DataProblem(f"{path}: values that are not finite; expected numbers; replace them")
    spacing = tuple(zooms[: len(grid)][::-1])
    known = all(np.isfinite(step) and step > 0 for step in spacing)
    return np.ascontiguousarray(pixels.reshape(grid).T), spacing if known else None


def read_nifti_mask(path: Path, classes: Sequence[str]) -> NDArray[np.uint8]:
    """A mask of class numbers (*S, slices first). Raises DataProblem naming the file."""
    file = _open(path)
    grid = _grid(path, file.shape)
    with naming(path):
        levels = np.asanyarray(file.dataobj)
    return np.ascontiguousarray(class_numbers(path, levels, classes).reshape(grid).T)


def _open(path: Path) -> Any:
    """The file's header; the pixels are read later."""
    import nibabel  # only who has such files pays for its import

    with naming(path):
        return nibabel.load(path)


def _grid(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """X Y of a single slice, X Y Z of a volume. Raises DataProblem on fewer or more dimensions."""
    grid = shape
    while len(grid) > 2 and grid[-1] == 1:
        grid = grid[:-1]
    if len(grid) not in (2, 3) or 0 in grid:
        raise DataProblem(
            f"{path}: shape {shape}; expected (X, Y) or (X, Y, Z), one file for each channel"
        )
    return grid
