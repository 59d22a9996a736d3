"""Decodes NIfTI files with their axes reversed: files hold (X Y Z), the harness takes (Z Y X)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataProblem
from datasets.readers.pictures import as_class_numbers, naming_file

Spacing = tuple[float, ...] | None


def count_dimensions(path: Path) -> int:
    """2 for a single slice, 3 for a volume, from the header. Raises DataProblem naming the file."""
    header = open_nifti(path)
    return len(_grid_of(path, header.shape))


def read_nifti(path: Path) -> tuple[NDArray[np.float32], Spacing]:
    """An image (*S, slices first) and its spacing in mm along these axes.

    The spacing is None where the header gives none. Raises DataProblem naming the file.
    """
    file = open_nifti(path)
    grid = _grid_of(path, file.shape)
    with naming_file(path):
        pixels = file.get_fdata(dtype=np.float32, caching="unchanged")
        zooms = [float(step) for step in file.header.get_zooms()]
    if not np.isfinite(pixels).all():
        raise DataProblem(f"{path}: values that are not finite; expected numbers; replace them")
    spacing = tuple(zooms[: len(grid)][::-1])
    is_known = all(np.isfinite(step) and step > 0 for step in spacing)
    slices_first = np.ascontiguousarray(pixels.reshape(grid).T)
    if not is_known:
        return slices_first, None
    return slices_first, spacing


def read_nifti_mask(path: Path, classes: Sequence[str]) -> NDArray[np.uint8]:
    """A mask of class numbers (*S, slices first). Raises DataProblem naming the file."""
    file = open_nifti(path)
    grid = _grid_of(path, file.shape)
    with naming_file(path):
        levels = np.asanyarray(file.dataobj)
    numbers = as_class_numbers(path, levels, classes)
    return np.ascontiguousarray(numbers.reshape(grid).T)


def open_nifti(path: Path) -> Any:
    """The file's header; its pixels are read later. Raises DataProblem naming the file."""
    import nibabel  # only those who have such files pay for the import

    with naming_file(path):
        return nibabel.load(path)


def _grid_of(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """X Y of a single slice, X Y Z of a volume. Raises DataProblem on fewer or more dimensions."""
    grid = shape
    while len(grid) > 2 and grid[-1] == 1:
        grid = grid[:-1]
    if len(grid) not in (2, 3) or 0 in grid:
        raise DataProblem(
            f"{path}: shape {shape}; expected (X, Y) or (X, Y, Z); save one file for each channel"
        )
    return grid
