"""ACDC: the heart in cine MRI, in the HDF5 files and lists of SSL4MIS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem
from datasets.readers.hdf5 import read_h5
from datasets.readers.pairing import first_names, missing_folder, refuse_odd_name
from datasets.readers.user_files import read_lines


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the split: its list, the folder of its files, and their number of dimensions."""

    split: Literal["train", "validation", "test"]
    list: str
    folder: str
    ndim: int


# Training cases are single slices, the others are whole volumes.
SIDES = (
    Side("train", "train_slices.list", "data/slices", 2),
    Side("validation", "val.list", "data", 3),
    Side("test", "test.list", "data", 3),
)

CARD = Card(
    id="acdc",
    title="ACDC: cardiac MRI, right ventricle, myocardium and left ventricle",
    ndim=3,
    channels=1,
    classes=("background", "right ventricle", "myocardium", "left ventricle"),
    normals=False,
    unit="patient",
    source="University Hospital of Dijon, MICCAI 2017; HDF5 files and lists as in SSL4MIS",
    licence="research use (CC BY-NC-SA 4.0 by a mirror); the paper must be cited",
    citation="Bernard et al., Deep Learning Techniques for Automatic MRI Cardiac Multi-Structures "
    "Segmentation and Diagnosis, IEEE TMI 2018",
    redistribute=False,
    slice_axis=0,
)


class Acdc:
    """Slices (H W) for training, volumes (D H W) for validation and test.

    The files do not state the spacing.
    """

    card = CARD

    def __init__(self, data_folder: Path | None) -> None:
        self.data_folder = data_folder

    def records(self) -> list[Record]:
        """Training slices, validation volumes, test volumes, in list order. Raises DataProblem."""
        root = self._find_root()
        records: list[Record] = []
        for side in SIDES:
            records += _list_records(root, side)
        return records

    def read(self, record: Record) -> RawCase:
        """Decode one slice or volume. Raises DataProblem naming the file."""
        assert record.image is not None
        ndim = next(side.ndim for side in SIDES if side.split == record.split)
        return read_h5(record.image, ndim, self.card.classes)

    def _find_root(self) -> Path:
        """The folder that holds the lists."""
        root = (self.data_folder or Path()) / "acdc"
        if self.data_folder is None or not root.is_dir():
            raise missing_folder(
                "acdc", self.data_folder, "acdc/{data,train_slices.list,val.list,test.list}"
            )
        return root


def _list_records(root: Path, side: Side) -> list[Record]:
    """The files of one list. Raises DataProblem where the list or one of its files is missing."""
    path = root / side.list
    names = [text.removesuffix(".h5") for _, text in read_lines(path)]
    for name in names:
        refuse_odd_name(path, name)
    files = [root / side.folder / f"{name}.h5" for name in names]
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        raise DataProblem(
            f"{path}: {len(absent)} of {len(files)} listed files are not in {root / side.folder} "
            f"({first_names(absent)}); expected all; copy them there or take them off the list"
        )
    records: list[Record] = []
    for name, file in zip(names, files, strict=True):
        patient = name.partition("_")[0]  # patient038 of patient038_frame01_slice_3
        volume = name.rpartition("_slice_")[0] or None  # patient038_frame01; None of a volume
        records.append(Record(name, patient, side.split, image=file, volume=volume))
    return records


def _open(dataset_id: str, data_folder: Path | None) -> Acdc:
    return Acdc(data_folder)


DATASETS: dict[str, DatasetFactory] = {"acdc": _open}
