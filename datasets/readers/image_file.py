"""Reads one image file of any kind that a trained model may be asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataProblem
from datasets.readers.nifti import open_nifti
from datasets.readers.pictures import naming_file, read_image

VOLUME_ENDINGS = (".nii", ".nii.gz")


def read_image_file(path: Path) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """The pixels of a picture or volume, and the affine of a volume.

    A PNG, JPEG, BMP, TIFF or .npy file gives (C H W), uint8 (0..255) or float32 (0..1), and None.
    A NIfTI file gives its one channel (1 X Y Z) with the axes as stored, float32 in the units of
    the file, and the affine (4 4) that takes voxel indices to mm. Raises DataProblem naming the
    file where it is damaged or has other dimensions.
    """
    if path.name.lower().endswith(VOLUME_ENDINGS):
        return _read_volume(path)
    return read_image(path), None


def _read_volume(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The voxels (1 X Y Z) and the affine (4 4). Raises DataProblem naming the file."""
    file = open_nifti(path)
    with naming_file(path):
        stored = np.asanyarray(file.dataobj)
        affine = np.asarray(file.affine, np.float64)
    if stored.ndim != 3:
        raise DataProblem(
            f"{path}: {stored.ndim} dimensions; expected 3; save each volume in a file of its own"
        )
    return stored[None].astype(np.float32), affine
