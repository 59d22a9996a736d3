"""BUSI: breast ultrasound with benign lesions, malignant lesions or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem
from datasets.readers.pairing import find_pairs_beside, first_names, missing_folder
from datasets.readers.pictures import count_channels, read_case, to_grey

KINDS = ("normal", "benign", "malignant")  # the folders; a label is an index into this list
# Some copies hold images that were squeezed into this square (H W) after their masks were drawn.
SQUEEZED = (416, 416)

CARD = Card(
    id="busi",
    title="BUSI: breast lesions in ultrasound",
    ndim=2,
    channels=1,
    classes=("background", "lesion"),
    normals=True,
    unit="image (patients unknown)",
    source="Baheya Hospital, Cairo; "
    "folders benign, malignant and normal as in Dataset_BUSI_with_GT",
    licence="not stated by its authors in the files (CC0 by a third party); "
    "the paper must be cited",
    citation="Al-Dhabyani et al., Dataset of breast ultrasound images, Data in Brief 2020",
    redistribute=False,
    labels=KINDS,
)


class Busi:
    """Grey ultrasound images with label 0 normal, 1 benign, 2 malignant.

    Their patients are not known, so each image is a group of its own.
    """

    card = CARD

    def __init__(self, data_folder: Path | None) -> None:
        self.data_folder = data_folder

    def records(self) -> list[Record]:
        """Normal, benign and malignant images, each in natural order. Raises DataProblem."""
        root = self._find_root()
        _refuse_other_folders(root)
        records: list[Record] = []
        for label, kind in enumerate(KINDS):
            for pair in find_pairs_beside(root / kind):
                records.append(Record(pair.stem, pair.stem, None, label, pair.image, pair.masks))
        _refuse_one_name_in_two_folders(records)
        return records

    def read(self, record: Record) -> RawCase:
        """Decode one image in grey and unite its masks, resized where their size differs."""
        assert record.image is not None
        channels = 1 if count_channels(record.image) == 1 else 3
        case = read_case(record, channels, self.card.classes, squeezed=SQUEEZED)
        return replace(case, image=to_grey(case.image))

    def _find_root(self) -> Path:
        """The folder that holds one folder for each kind. Raises DataProblem."""
        if self.data_folder is not None:
            for subfolder in ("busi", "busi/Dataset_BUSI_with_GT"):
                root = self.data_folder / subfolder
                if any((root / kind).is_dir() for kind in KINDS):
                    return root
        raise missing_folder("busi", self.data_folder, "busi/{normal,benign,malignant}")


def _refuse_other_folders(root: Path) -> None:
    """Raise DataProblem on a folder that is none of KINDS: its images would have no label."""
    folders = [path.name for path in root.iterdir() if path.is_dir()]
    unknown = [name for name in sorted(folders) if name[0] != "." and name not in KINDS]
    if unknown:
        raise DataProblem(
            f"{root}: unknown class folders ({first_names(unknown)}); "
            f"expected {', '.join(KINDS)}; rename or remove them"
        )


def _refuse_one_name_in_two_folders(records: list[Record]) -> None:
    """Raise DataProblem where two kinds hold images of the same name."""
    first: dict[str, Record] = {}
    for record in records:
        other = first.setdefault(record.id, record)
        if other is not record:
            raise DataProblem(
                f"{record.image}: {other.image} has the same name; expected names that tell cases "
                "apart, such as 'benign (1)'; rename one with its masks"
            )


def _open(dataset_id: str, data_folder: Path | None) -> Busi:
    return Busi(data_folder)


DATASETS: dict[str, DatasetFactory] = {"busi": _open}
