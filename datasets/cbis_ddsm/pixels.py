"""Decodes mammograms, crops and masks from DICOM, or from copies as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataProblem
from datasets.readers.opening import naming_file
from datasets.readers.pictures import read_image, to_grey

MOST_BETWEEN = 0.01  # share of pixels of a mask in JPEG that are neither black nor white


@dataclass(frozen=True, slots=True)
class Pixels:
    """The grey levels of a file."""

    values: NDArray[Any]  # H W; uint8, or float32 in the units of the file
    is_lossy: bool

    @property
    def is_black_and_white(self) -> bool:
        """Whether it can be a mask."""
        low = self.values.min()
        high = self.values.max()
        if not self.is_lossy:
            return bool(((self.values == low) | (self.values == high)).all())
        between = (self.values > 32) & (self.values < 223)
        return bool(between.mean() <= MOST_BETWEEN)

    def as_mask(self) -> NDArray[np.uint8]:
        """Foreground (H W) of a mask: what is brighter than half of its range.

        A mask of one level holds nothing if it is black, as some are.
        """
        high = self.values.max()
        return ((self.values > high / 2) & (high > 0)).astype(np.uint8)


def read_pixels(path: Path) -> Pixels:
    """The grey levels of a DICOM file or a picture. Raises DataProblem naming the file."""
    if path.suffix.lower() != ".dcm":
        is_lossy = path.suffix.lower() != ".png"
        return Pixels(to_grey(read_image(path))[0], is_lossy)
    values = _read_dicom(path)
    if values.ndim != 2:
        raise DataProblem(
            f"{path}: shape {values.shape}; expected one grey picture; download it again"
        )
    return Pixels(values, is_lossy=False)


def _read_dicom(path: Path) -> NDArray[Any]:
    """The stored values of a DICOM file, 0 being black. Raises DataProblem naming the file."""
    try:
        import pydicom  # only those who have such files need it
    except ImportError:
        raise DataProblem(
            f"{path}: DICOM needs the package pydicom; install it with "
            "pip install -e '.[dicom]' in the folder of ScarceBench"
        ) from None
    with naming_file(path):
        file = pydicom.dcmread(path)
        values: NDArray[Any] = file.pixel_array
        if file.get("PhotometricInterpretation") == "MONOCHROME1":  # 0 is white
            values = values.max() - values
    return values if values.dtype == np.uint8 else values.astype(np.float32)
