"""Reads one image or label map of any kind, as predictions and their images come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataProblem
from datasets.readers.masks import read_numbers
from datasets.readers.nifti import read_levels, read_stored_channels, write_label_map
from datasets.readers.opening import naming_file
from datasets.readers.pictures import read_image
from datasets.readers.stored_grid import StoredGrid, align, grid_of_case

MOST_CLASSES = 256
WHITE = (255, 65535)
VOLUME_ENDINGS = (".nii", ".nii.gz")


@dataclass(frozen=True, slots=True)
class VolumeFile:
    """A NIfTI file that was read: turns arrays to the harness and back, and writes label maps."""

    path: Path
    grid: StoredGrid

    def to_harness(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Stored voxels (X Y Z) as data sets read them: Z Y X in RAS+, or H W of a slice."""
        return self.grid.to_harness(voxels)

    def to_stored(self, array: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `to_harness`."""
        return self.grid.to_stored(array)

    def write_labels(self, labels: NDArray[np.uint8], file: Path) -> None:
        """Write a label map (X Y Z) with the shape, spacing and orientation of this file."""
        write_label_map(file, labels, self.path)


def read_image_file(path: Path) -> tuple[NDArray[Any], VolumeFile | None]:
    """The pixels of a picture, or of a volume with the file's grid.

    A PNG, JPEG, BMP, TIFF or .npy file gives (C H W) as `read_image` does, and None. A NIfTI file
    gives its channels (C X Y Z) with the axes as stored, float32 in the units of the file.
    Raises DataProblem naming the file where it is damaged or has other dimensions.
    """
    if _is_volume(path):
        voxels, grid = read_stored_channels(path)
        return voxels, VolumeFile(path, grid)
    return read_image(path), None


def read_label_file(
    path: Path,
    shape: Sequence[int],
    affine: Sequence[Sequence[float]] | None,
    transposed: bool,
    classes: int = MOST_CLASSES,
) -> NDArray[Any]:
    """The class numbers (*S) that a file predicts for a case of a shape (*S).

    With two classes, pictures and arrays of black and white (0 and 255) count as 0 and 1.

    `affine` (4 4) is that of the case's NIfTI image: a NIfTI file must lie there and is turned as
    the image was; a .npy array counts as (Z Y X) of the image as stored. The `label_map` of a .npz
    file is as the harness writes it. Without an affine, volumes are taken as stored, `transposed`
    to (Z Y X) if cases are. Raises DataProblem naming the file.
    """
    if path.suffix.lower() == ".npz":
        return _read_npz(path)
    grid: StoredGrid | None = None
    if affine is not None:
        grid = grid_of_case(shape, np.array(affine, np.float64))
    if _is_volume(path):
        return _read_label_volume(path, grid, transposed)
    if path.suffix.lower() != ".npy":
        return _white_as_one(read_numbers(path), classes)
    with naming_file(path):
        array = without_single_axes(np.load(path, allow_pickle=False), len(shape))
    array = _white_as_one(array, classes)
    if grid is None:
        return array
    as_stored = grid.shape[:2] if grid.is_slice else grid.shape
    if array.T.shape != as_stored:
        raise DataProblem(
            f"{path}: shape {array.shape}; expected {as_stored[::-1]}, as the image is stored, "
            "slices first; save it in that order, or as NIfTI"
        )
    return grid.to_harness(array.T)


def _white_as_one(values: NDArray[Any], classes: int) -> NDArray[Any]:
    """Class numbers of two classes that were saved to be looked at, as black and white."""
    if classes != 2 or values.dtype.kind not in "uif" or not values.size:
        return values
    highest = values.max()
    is_black_and_white = highest in WHITE and bool(np.isin(values, (0, highest)).all())
    return (values == highest).astype(np.uint8) if is_black_and_white else values


def _read_label_volume(path: Path, grid: StoredGrid | None, transposed: bool) -> NDArray[Any]:
    """The values (*S) of a NIfTI label map: on the grid of its image if that is known."""
    levels, own = read_levels(path)
    if grid is not None:
        return grid.to_harness(align(path, levels, own, grid, "the image of this case"))
    if own.is_slice:
        return np.ascontiguousarray(levels[:, :, 0].T)
    return np.ascontiguousarray(levels.T) if transposed else levels


def _read_npz(path: Path) -> NDArray[Any]:
    """The label map that the harness wrote. Raises DataProblem where the file holds none."""
    with naming_file(path), np.load(path, allow_pickle=False) as content:
        if "label_map" not in content:
            raise DataProblem(
                f"{path}: no label_map in it ({', '.join(content)}); expected class numbers; "
                "save the label map, not probabilities"
            )
        return np.asarray(content["label_map"])


def without_single_axes(array: NDArray[Any], ndim: int) -> NDArray[Any]:
    """An array without leading and trailing axes of length 1, as far as it has more than `ndim`."""
    while array.ndim > ndim and array.shape[0] == 1:
        array = array[0]
    while array.ndim > ndim and array.shape[-1] == 1:
        array = array[..., 0]
    return array


def _is_volume(path: Path) -> bool:
    return path.name.lower().endswith(VOLUME_ENDINGS)
