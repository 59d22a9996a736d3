"""Tags of DICOM files that change what values mean, or say that files do not belong together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import DataProblem


def refuse_odd_slices(folder: Path, series: Sequence[Any]) -> None:
    """Raise DataProblem for slices of several patients, inverted, cut or oddly rescaled ones."""
    patients = sorted({str(file.get("PatientID", "")) for file in series})
    if len(patients) > 1:
        raise DataProblem(
            f"{folder}: slices of {len(patients)} patients in one series; expected those of one; "
            "fetch the series again"
        )
    if any(file.get("PhotometricInterpretation") == "MONOCHROME1" for file in series):
        raise DataProblem(
            f"{folder}: MONOCHROME1, in which high values are dark; expected MONOCHROME2; convert "
            "the slices"
        )
    _refuse_cut_slices(folder, series)
    pairs = [(file.get("RescaleSlope"), file.get("RescaleIntercept")) for file in series]
    for slope, intercept in pairs:
        numbers = [_number(value) for value in (slope, intercept) if value is not None]
        if slope == 0 or not all(map(math.isfinite, numbers)):
            raise DataProblem(
                f"{folder}: rescale slope {slope} and intercept {intercept}; expected numbers, the "
                "slope not 0; fetch the series again"
            )
    lacking = sum(None in pair for pair in pairs)
    is_ct = any(file.get("Modality") == "CT" for file in series)
    if lacking and (is_ct or lacking < len(pairs)):
        raise DataProblem(
            f"{folder}: {lacking} of {len(pairs)} slices without rescale slope and intercept, so "
            "their values have no unit; expected both in each slice; fetch the series again"
        )


def _refuse_cut_slices(folder: Path, series: Sequence[Any]) -> None:
    """Raise DataProblem for a slice whose pixels are more or fewer than its tags say."""
    for file in series:
        held, expected = _pixel_bytes(file)
        if held not in (expected, expected + expected % 2):  # padded to an even length
            raise DataProblem(
                f"{folder}: {held} bytes of pixels in a slice; expected {expected} from its rows, "
                "columns and bits; fetch the series again"
            )


def _pixel_bytes(file: Any) -> tuple[int, int]:
    """How long the pixels of a slice are, and should be; compressed ones have no set length."""
    pixels = file.get("PixelData")
    meta = getattr(file, "file_meta", None) or {}
    syntax = meta.get("TransferSyntaxUID")
    if pixels is None or (syntax is not None and syntax.is_compressed):
        return 0, 0
    bits = file.get("BitsAllocated", 0) * file.get("SamplesPerPixel", 1)
    rows = int(file.get("Rows", 0)) * int(file.get("NumberOfFrames", 1))
    return len(pixels), rows * int(file.get("Columns", 0)) * bits // 8


def _number(value: Any) -> float:
    """A value of a tag; NaN where it is none, or several."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def refuse_other_series(folder: Path, series: Sequence[Any], segmentation: Any) -> None:
    """Raise DataProblem where a DICOM-SEG says that it is of other slices, on a like grid."""
    first = series[0]
    for name in ("PatientID", "FrameOfReferenceUID"):
        own, other = first.get(name), segmentation.get(name)
        if own and other and own != other:
            raise _other(folder, f"its {name} is not that of the series")
    referenced = segmentation.get("ReferencedSeriesSequence") or ()
    named = [each.get("SeriesInstanceUID") for each in referenced]
    if named and first.get("SeriesInstanceUID") not in named:
        raise _other(folder, "it refers to another series")


def _other(folder: Path, reason: str) -> DataProblem:
    return DataProblem(
        f"{folder}: its DICOM-SEG does not fit the series ({reason}); expected segments of these "
        "slices; fetch the series that it was drawn on, or export it again, for this series"
    )
