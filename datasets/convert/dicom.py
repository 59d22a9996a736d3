"""DICOM: a folder for each case, with one series of slices and one DICOM-SEG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError, DataProblem
from datasets.convert.dicom_tags import refuse_odd_slices, refuse_other_series
from datasets.convert.targets import (
    Asked,
    Converted,
    VolumeCase,
    classes_from,
    part_of,
    refuse_volumes_in_folder,
    write_dataset_json,
    write_volume_case,
)
from datasets.readers.opening import naming_file
from datasets.readers.pairing import first_names, natural_key

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
TOLERANCE = 1e-3  # voxels and unit vectors: how far segments and slices may lie apart


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM does, whatever it is called."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def convert_dicom(asked: Asked) -> Converted:
    """Write series with their segments in the layout of nnU-Net. Raises BenchError."""
    refuse_volumes_in_folder(asked)
    folders = [path for path in sorted(asked.source.iterdir()) if path.is_dir()]
    folders = [path for path in folders if not path.name.startswith(".")]
    if not folders:
        raise DataProblem(
            f"{asked.source}: no folders in it; expected one for each case, with its series and "
            "its DICOM-SEG; sort the files into folders"
        )
    _refuse_loose_files(asked.source)
    names: list[str] = []  # of segments: their places are class numbers
    normals = False
    with part_of(asked) as root:
        for folder in sorted(folders, key=lambda path: natural_key(path.name)):
            case = _read_case(folder, names)
            normals |= not case.label.any()
            write_volume_case(root, case)
        classes = classes_from(names, asked.classes, asked.source)
        write_dataset_json(root, ("image",), classes, len(folders), ".nii.gz", normals)
    return Converted(len(folders), classes)


def _refuse_loose_files(source: Path) -> None:
    """Raise DataProblem on DICOM files outside of the folders of cases: they would be left out."""
    loose = []
    for path in sorted(source.iterdir()):
        if path.is_file() and path.name != "DICOMDIR" and is_dicom(path):
            loose.append(path.name)
    if loose:
        raise DataProblem(
            f"{source}: {len(loose)} DICOM files beside the folders of cases "
            f"({first_names(loose)}); expected them inside; move them there, or away"
        )


def _read_case(folder: Path, names: list[str]) -> VolumeCase:
    """A series and its segments; names of segments that are new are added to `names`."""
    series, segmentation = _sort_files(folder)
    refuse_odd_slices(folder, series)
    refuse_other_series(folder, series, segmentation)
    volume = _volume_of(folder, series)
    label = _label_of(folder, segmentation, volume, names)
    affine = LPS_TO_RAS @ volume.affine
    affine = affine[:, [2, 1, 0, 3]]  # of the axes columns, rows, slices
    return VolumeCase(folder.name, [np.asarray(volume.array).T], affine, label.T)


def _sort_files(folder: Path) -> tuple[Sequence[Any], Any]:
    """The slices of the one series of a case, and its one segmentation. Raises DataProblem."""
    pydicom = _imported("pydicom", folder)
    series: dict[str, list[Any]] = {}
    segmentations = []
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or not path.is_file() or not is_dicom(path):
            continue
        with naming_file(path):
            file = pydicom.dcmread(path)
        modality = file.get("Modality", "")
        if modality == "SEG":
            segmentations.append(file)
        elif modality in ("RTSTRUCT", "SR", "PR", "REG", "KO"):
            raise DataProblem(
                f"{path}: {modality}; expected slices and one DICOM-SEG; convert contours to a "
                "DICOM-SEG (3D Slicer does), or remove the file"
            )
        else:
            series.setdefault(str(file.get("SeriesInstanceUID", "")), []).append(file)
    if len(series) != 1 or len(segmentations) != 1:
        raise DataProblem(
            f"{folder}: {len(series)} series and {len(segmentations)} DICOM-SEG; expected one of "
            "each; remove the others, or give each series a folder"
        )
    return next(iter(series.values())), segmentations[0]


def _volume_of(folder: Path, series: Sequence[Any]) -> Any:
    """The volume of a series, in the units of its rescale. Raises DataProblem.

    Refused are slices that are missing, twice, tilted, of several sizes or in colour.
    """
    if any(file.get("SamplesPerPixel", 1) != 1 for file in series):
        raise DataProblem(
            f"{folder}: slices in colour; expected grey ones; save each colour as a series"
        )
    highdicom = _imported("highdicom", folder)
    try:
        return highdicom.get_volume_from_series(series, rtol=0.01)
    except Exception as problem:
        reason = " ".join(str(problem).split())[:200]
        raise DataProblem(
            f"{folder}: the {len(series)} slices make no volume ({reason}); expected slices at "
            "equal distances, each once, of one size; fetch the series again"
        ) from None


def _label_of(folder: Path, segmentation: Any, volume: Any, names: list[str]) -> NDArray[np.uint8]:
    """Class numbers on the grid of a volume, its axes being slices, rows, columns.

    Raises DataProblem where segments overlap or lie on another grid.
    """
    highdicom = _imported("highdicom", folder)
    try:
        segments = highdicom.seg.Segmentation.from_dataset(segmentation, copy=False)
        stored = segments.get_volume(combine_segments=True)
        placed = stored.match_geometry(volume.get_geometry(), tol=TOLERANCE)
    except Exception as problem:
        reason = " ".join(str(problem).split())[:200]
        raise DataProblem(
            f"{folder}: its DICOM-SEG does not fit the series ({reason}); expected segments that "
            "do not overlap, on the voxels of the series; export it again, for this series"
        ) from None
    values = np.asarray(placed.array)
    lost = int((np.asarray(stored.array) > 0).sum()) - int((values > 0).sum())
    if lost:
        raise DataProblem(
            f"{folder}: {lost} voxels of its DICOM-SEG lie outside of the {len(values)} slices; "
            "expected all slices that segments are on; fetch the series again"
        )
    classes = _class_numbers(segments, names)
    label = np.zeros(values.shape, np.uint8)
    for value, number in classes.items():
        label[values == value] = number
    return label


def _class_numbers(segments: Any, names: list[str]) -> Mapping[int, int]:
    """The class number of each segment, by its name: numbers differ from file to file."""
    classes = {}
    for value in segments.segment_numbers:
        name = str(segments.get_segment_description(value).segment_label)
        if name not in names:
            names.append(name)
        classes[int(value)] = names.index(name) + 1
    return classes


def _imported(package: str, folder: Path) -> Any:
    """A package that is an extra. Raises BenchError that says how to install it."""
    try:
        return __import__(package)
    except ImportError:
        raise BenchError(
            f"{folder}: DICOM needs the package {package}; install it with "
            "pip install -e '.[convert]' in the folder of ScarceBench"
        ) from None
