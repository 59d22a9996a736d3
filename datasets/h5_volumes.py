"""Volumes of one organ in HDF5, z-scored as stored: LA by UA-MT and Pancreas-CT by MC-Net, each with its lists."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem
from datasets.readers.hdf5 import read_h5
from datasets.readers.pairing import missing_folder, refuse_odd_name, some
from datasets.readers.user_files import read_lines

SIDES: tuple[Literal["train", "test"], ...] = ("train", "test")  # neither has a validation list


@dataclass(frozen=True, slots=True)
class Family:
    """A dataset and where its files lie below DATA/<id>: FOLDER/<patient>ENDING."""

    card: Card
    folder: str
    ending: str
    lists: str  # the folder of the lists in one of the releases; in the others they lie in DATA/<id> itself


LA = Family(
    Card(
        id="la",
        title="LA: left atrium in late gadolinium-enhanced MRI",
        ndim=3,
        channels=1,
        classes=("background", "left atrium"),
        normals=False,
        unit="patient",
        source="2018 Atrial Segmentation Challenge, STACOM 2018; HDF5 files and lists as in UA-MT",
        licence="2018 Atrial Segmentation Challenge terms; research use only",
        citation="Xiong et al., A global benchmark of algorithms for segmenting the left atrium from late "
        "gadolinium-enhanced cardiac magnetic resonance imaging, Medical Image Analysis 2021",
        redistribute=False,
        spacing=(0.625, 0.625, 0.625),
        slice_axis=2,
        normalised=True,
    ),
    folder="2018LA_Seg_Training Set",
    ending="/mri_norm2.h5",
    lists="",
)
PANCREAS_CT = Family(
    Card(
        id="pancreas_ct",
        title="Pancreas-CT: pancreas in contrast-enhanced CT",
        ndim=3,
        channels=1,
        classes=("background", "pancreas"),
        normals=False,
        unit="patient",
        source="NIH Clinical Center, by The Cancer Imaging Archive; 1 mm, window -125 to 275 HU, HDF5 as in MC-Net",
        licence="TCIA terms (CC BY 3.0 by its page)",
        citation="Roth et al., DeepOrgan: Multi-level Deep Convolutional Networks for Automated Pancreas "
        "Segmentation, MICCAI 2015",
        redistribute=False,
        spacing=(1.0, 1.0, 1.0),
        slice_axis=2,
        normalised=True,
    ),
    folder="Pancreas_h5",
    ending="_norm.h5",
    lists="Flods",  # spelt so in the release
)


class H5Volumes:
    """Volumes (W H D) with their z-scored values; a row of a list is the id of its case."""

    def __init__(self, family: Family, data_folder: Path | None) -> None:
        self.family = family
        self.card = family.card
        self.data_folder = data_folder

    def records(self) -> list[Record]:
        """Training, then test volumes, each in list order. Raises DataProblem."""
        root = self._root()
        folder = root / self.family.lists
        lists = folder if folder.is_dir() else root
        return [
            record
            for side in SIDES
            for record in _records(self.family, root, lists / f"{side}.list", side)
        ]

    def read(self, record: Record) -> RawCase:
        """Decode one volume. Raises DataProblem naming the file."""
        assert record.image is not None
        raw = read_h5(record.image, self.card.ndim, self.card.classes, self.card.normalised)
        return replace(raw, spacing=self.card.spacing)

    def _root(self) -> Path:
        """The folder that holds the volumes."""
        name = self.card.id
        root = (self.data_folder or Path()) / name
        if self.data_folder is None or not root.is_dir():
            raise missing_folder(
                name, self.data_folder, f"{name}/{{{self.family.folder},train.list,test.list}}"
            )
        return root


def _records(
    family: Family, root: Path, path: Path, side: Literal["train", "test"]
) -> list[Record]:
    """The cases of one list. Raises DataProblem where a row is unusable or its file is missing."""
    rows = read_lines(path)
    if not rows:
        raise DataProblem(f"{path}: no rows; expected one case a line; copy the list again")
    _refuse_repeats(path, [(line, _patient(family, row)) for line, row in rows])
    records = [_record(family, root, path, row, side) for _, row in rows]
    absent = [
        str(r.image.relative_to(root))
        for r in records
        if r.image is not None and not r.image.is_file()
    ]
    if absent:
        raise DataProblem(
            f"{path}: {len(absent)} of {len(rows)} listed files are not in {root} ({some(absent)}); "
            "expected all; copy them there or take them off the list"
        )
    return records


def _record(
    family: Family, root: Path, path: Path, row: str, side: Literal["train", "test"]
) -> Record:
    refuse_odd_name(path, row)
    patient = _patient(family, row)
    return Record(row, patient, side, image=root / family.folder / f"{patient}{family.ending}")


def _patient(family: Family, row: str) -> str:
    """image0057 of image0057 or image0057_norm.h5."""
    return row.removesuffix(family.ending)


def _refuse_repeats(path: Path, patients: list[tuple[int, str]]) -> None:
    """Raise DataProblem where a patient, each with its line, is listed twice."""
    first: dict[str, int] = {}
    for line, patient in patients:
        if patient in first:
            raise DataProblem(
                f"{path} line {line}: case '{patient}' again; expected it once, as in line {first[patient]}"
            )
        first[patient] = line


def _open(dataset_id: str, data_folder: Path | None) -> H5Volumes:
    return H5Volumes(FAMILIES[dataset_id], data_folder)


FAMILIES = {family.card.id: family for family in (LA, PANCREAS_CT)}
DATASETS: dict[str, DatasetFactory] = dict.fromkeys(FAMILIES, _open)
