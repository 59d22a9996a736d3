"""Z-scored volumes of one organ in HDF5, with lists: LA by UA-MT and Pancreas-CT by MC-Net."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem
from datasets.readers.hdf5 import read_h5
from datasets.readers.pairing import first_names, missing_folder, refuse_odd_name
from datasets.readers.user_files import read_lines

Side = Literal["train", "test"]

SIDES: tuple[Side, ...] = ("train", "test")  # neither dataset has a validation list


@dataclass(frozen=True, slots=True)
class Family:
    """A dataset whose volumes are DATA/<id>/FOLDER/<patient>ENDING."""

    card: Card
    folder: str
    ending: str
    lists: str  # folder of the lists in one release; in the others they lie in DATA/<id> itself


LA = Family(
    Card(
        id="la",
        title="LA: left atrium in late gadolinium-enhanced MRI",
        ndim=3,
        channels=1,
        classes=("background", "left atrium"),
        normals=False,
        unit="patient",
        source="2018 Atrial Segmentation Challenge, STACOM 2018; HDF5 files and lists as in UA-MT, "
        "cropped around the atrium by its mask, unlabelled volumes too",
        licence="2018 Atrial Segmentation Challenge terms; research use only",
        citation="Xiong et al., A global benchmark of algorithms for segmenting the left atrium "
        "from late gadolinium-enhanced cardiac magnetic resonance imaging, "
        "Medical Image Analysis 2021",
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
        source="NIH Clinical Center, by The Cancer Imaging Archive; 1 mm, window -125 to 275 HU, "
        "HDF5 as in MC-Net",
        licence="TCIA terms (CC BY 3.0 by its page)",
        citation="Roth et al., DeepOrgan: Multi-level Deep Convolutional Networks for Automated "
        "Pancreas Segmentation, MICCAI 2015",
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
    """Volumes (W H D) with their z-scored values; each row of a list is the id of a case."""

    def __init__(self, family: Family, data_folder: Path | None) -> None:
        self.family = family
        self.card = family.card
        self.data_folder = data_folder

    def records(self) -> list[Record]:
        """Training volumes, then test volumes, each in list order. Raises DataProblem."""
        root = self._find_root()
        folder = root / self.family.lists
        lists = folder if folder.is_dir() else root
        records: list[Record] = []
        for side in SIDES:
            records += _list_records(self.family, root, lists / f"{side}.list", side)
        return records

    def read(self, record: Record) -> RawCase:
        """Decode one volume. Raises DataProblem naming the file."""
        assert record.image is not None
        raw = read_h5(record.image, self.card.ndim, self.card.classes, self.card.normalised)
        return replace(raw, spacing=self.card.spacing)

    def _find_root(self) -> Path:
        """The folder that holds the volumes. Raises DataProblem."""
        name = self.card.id
        root = (self.data_folder or Path()) / name
        if self.data_folder is None or not root.is_dir():
            layout = f"{name}/{{{self.family.folder},train.list,test.list}}"
            raise missing_folder(name, self.data_folder, layout)
        return root


def _list_records(family: Family, root: Path, path: Path, side: Side) -> list[Record]:
    """The cases of one list. Raises DataProblem on an unusable row or a missing file."""
    rows = read_lines(path)
    if not rows:
        raise DataProblem(f"{path}: no rows; expected one case per line; copy the list again")
    _refuse_repeats(family, path, rows)
    records: list[Record] = []
    absent: list[str] = []
    for _, row in rows:
        refuse_odd_name(path, row)
        patient = _find_patient(family, row)
        image = root / family.folder / f"{patient}{family.ending}"
        records.append(Record(row, patient, side, image=image))
        if not image.is_file():
            absent.append(str(image.relative_to(root)))
    if absent:
        raise DataProblem(
            f"{path}: {len(absent)} of {len(rows)} listed files are not in {root} "
            f"({first_names(absent)}); expected all; copy them there or take them off the list"
        )
    return records


def _find_patient(family: Family, row: str) -> str:
    """image0057 of image0057 or image0057_norm.h5."""
    return row.removesuffix(family.ending)


def _refuse_repeats(family: Family, path: Path, rows: list[tuple[int, str]]) -> None:
    """Raise DataProblem where a patient is listed twice; `rows` are line numbers and texts."""
    first: dict[str, int] = {}
    for line, row in rows:
        patient = _find_patient(family, row)
        if patient in first:
            raise DataProblem(
                f"{path} line {line}: case '{patient}' again; expected it once, "
                f"as in line {first[patient]}; remove one of the lines"
            )
        first[patient] = line


def _open(dataset_id: str, data_folder: Path | None) -> H5Volumes:
    return H5Volumes(FAMILIES[dataset_id], data_folder)


FAMILIES = {family.card.id: family for family in (LA, PANCREAS_CT)}
DATASETS: dict[str, DatasetFactory] = dict.fromkeys(FAMILIES, _open)
