"""DICOM slices whose tags change what values mean, and segments of other slices."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.errors import DataProblem
from datasets.convert.dicom_tags import refuse_odd_slices, refuse_other_series

TAGS: dict[str, Any] = {
    "PatientID": "p",
    "Modality": "CT",
    "SeriesInstanceUID": "1.2",
    "FrameOfReferenceUID": "1.3",
    "PhotometricInterpretation": "MONOCHROME2",
    "RescaleSlope": 1.0,
    "RescaleIntercept": -1024.0,
}
FOLDER = Path("p1")


def file(**changes: Any) -> Any:
    """A file with these tags; None takes one away."""
    tags = {**TAGS, **changes}
    kept = {name: value for name, value in tags.items() if value is not None}
    return SimpleNamespace(get=kept.get)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PatientID": "q"}, "slices of 2 patients in one series"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "in which high values are dark"),
        ({"RescaleSlope": float("nan")}, "rescale slope nan and intercept"),
        ({"RescaleSlope": 0.0}, "rescale slope 0.0"),
        ({"RescaleSlope": [1.0, 2.0]}, "rescale slope"),
        ({"RescaleIntercept": None}, "1 of 2 slices without rescale slope and intercept"),
        ({"RescaleSlope": None, "RescaleIntercept": None}, "1 of 2 slices without rescale"),
    ],
)
def test_slices_whose_values_mean_something_else(changes: dict[str, Any], words: str) -> None:
    """MONOCHROME1 came out upside down, CT without a rescale was not in HU, NaN stayed NaN."""
    with pytest.raises(DataProblem, match=words):
        refuse_odd_slices(FOLDER, [file(), file(**changes)])


SQUARE = {"Rows": 3, "Columns": 3, "BitsAllocated": 8}


@pytest.mark.parametrize("rows", [2, 4])
def test_slices_whose_rows_are_not_those_of_their_pixels(rows: int) -> None:
    """With fewer rows than pixels the rest was left out without a word."""
    odd = {**SQUARE, "Rows": rows, "PixelData": bytes(9)}
    with pytest.raises(DataProblem, match=f"9 bytes of pixels in a slice; expected {3 * rows} "):
        refuse_odd_slices(FOLDER, [file(**odd)])


@pytest.mark.parametrize("length", [9, 10])
def test_pixels_may_be_padded_to_an_even_length(length: int) -> None:
    refuse_odd_slices(FOLDER, [file(**SQUARE, PixelData=bytes(length))])


def test_slices_that_are_taken() -> None:
    refuse_odd_slices(FOLDER, [file(), file(RescaleSlope=2.0)])  # PET has one for each slice
    bare = {"Modality": "MR", "RescaleSlope": None, "RescaleIntercept": None}
    refuse_odd_slices(FOLDER, [file(**bare), file(**bare)])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PatientID": "q"}, "its PatientID is not that of the series"),
        ({"FrameOfReferenceUID": "9"}, "its FrameOfReferenceUID is not that of the series"),
        ({"ReferencedSeriesSequence": [{"SeriesInstanceUID": "9"}]}, "refers to another series"),
    ],
)
def test_segments_of_other_slices(changes: dict[str, Any], words: str) -> None:
    """On a like grid they were taken for those of the series, without a word."""
    with pytest.raises(DataProblem, match=words):
        refuse_other_series(FOLDER, [file()], file(**changes))
    own = [{"SeriesInstanceUID": "1.2"}]
    refuse_other_series(FOLDER, [file()], file(ReferencedSeriesSequence=own))
