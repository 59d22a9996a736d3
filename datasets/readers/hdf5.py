"""Decodes HDF5 files that hold one `image` and its `label`, as SSL4MIS and its successors do."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.api import RawCase
from bench.errors import DataProblem
from datasets.readers.masks import as_class_numbers
from datasets.readers.opening import naming_file
from datasets.readers.pictures import as_unit_floats

KEYS = ("image", "label")
MOST_VALUES = 2**30  # of an array; a file of a few bytes may state any shape


def read_h5(path: Path, ndim: int, classes: Sequence[str], normalised: bool = False) -> RawCase:
    """One channel (1 *S), float32 in 0..1 or uint8, and its mask (*S).

    Where the image is `normalised`, for example z-scored, any finite floats are kept unchanged.
    Raises DataProblem naming the file.
    """
    image, label = _read_arrays(path)
    if image.ndim != ndim or not image.size:
        raise DataProblem(
            f"{path}: image of shape {image.shape}; expected {ndim} dimensions; "
            "prepare the file again"
        )
    if label.shape != image.shape:
        raise DataProblem(
            f"{path}: label of shape {label.shape}; expected {image.shape}, as its image; "
            "prepare the file again"
        )
    if label.dtype.kind not in "buif":
        raise DataProblem(
            f"{path}: label of type {label.dtype}; expected whole numbers; prepare the file again"
        )
    pixels = _as_finite_floats(path, image) if normalised else _as_bytes_or_unit(path, image)
    return RawCase(pixels[None], as_class_numbers(path, label, classes))


def _as_bytes_or_unit(path: Path, image: NDArray[Any]) -> NDArray[Any]:
    """The values as uint8 or as float32 in 0..1. Raises DataProblem where they are neither."""
    return image if image.dtype == np.uint8 else as_unit_floats(path, image)


def _as_finite_floats(path: Path, image: NDArray[Any]) -> NDArray[np.float32]:
    """The values as float32. Raises DataProblem where they are not finite floats."""
    if image.dtype.kind != "f":
        raise DataProblem(
            f"{path}: image of type {image.dtype}; expected z-scored floats; prepare the file again"
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused
        values = image.astype(np.float32)
    unusable = int((~np.isfinite(values)).sum())
    if unusable:
        raise DataProblem(
            f"{path}: {unusable} of {values.size} values of the image are NaN or infinite; "
            "expected finite floats; prepare the file again"
        )
    return values


def _read_arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """The arrays `image` and `label` as they are stored."""
    import h5py  # only those who have such files pay for the import

    with naming_file(path), h5py.File(path, "r") as file:
        absent = [key for key in KEYS if not isinstance(file.get(key), h5py.Dataset)]
        if absent:
            given = ", ".join(file) or "nothing"
            raise DataProblem(
                f"{path}: no {' and no '.join(absent)} in it (found {given}); "
                "expected the arrays image and label; prepare the file again"
            )
        for key in KEYS:
            shape = file[key].shape
            if shape is None or prod(shape) > MOST_VALUES:
                raise DataProblem(
                    f"{path}: {key} of shape {shape}; expected at most {MOST_VALUES} values; "
                    "prepare the file again"
                )
        return np.asarray(file["image"][()]), np.asarray(file["label"][()])
