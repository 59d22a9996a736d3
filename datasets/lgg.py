"""LGG: slices of brain MRI with and without a glioma, in the folder kaggle_3m."""

from __future__ import annotations

import re
from pathlib import Path

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem
from datasets.readers.pairing import Pair, find_pairs_beside, missing_folder, natural_key
from datasets.readers.pictures import read_case, read_mask

CARD = Card(
    id="lgg",
    title="LGG: lower-grade glioma in brain MRI",
    ndim=2,
    channels=3,  # pre-contrast, FLAIR, post-contrast; FLAIR stands in where one is missing
    classes=("background", "tumour"),
    normals=True,
    unit="patient",
    source="TCGA-LGG of The Cancer Imaging Archive, slices of kaggle_3m; "
    "masks of FLAIR abnormality",
    licence="CC BY-NC-SA 4.0 by its page on Kaggle; terms of The Cancer Imaging Archive; "
    "the paper must be cited",
    citation="Buda et al., Association of genomic subtypes of lower-grade gliomas with shape "
    "features automatically extracted by a deep learning algorithm, "
    "Computers in Biology and Medicine 2019",
    redistribute=False,
    labels=("no tumour", "tumour"),
)


class Lgg:
    """Slices with three sequences as channels; label 1 where a slice shows tumour, otherwise 0."""

    card = CARD

    def __init__(self, data_folder: Path | None) -> None:
        self.data_folder = data_folder

    def records(self) -> list[Record]:
        """All slices, patient by patient, from the lowest slice up. Raises DataProblem."""
        root = self._find_root()
        folders = [path for path in root.iterdir() if path.is_dir() and path.name[0] != "."]
        if not folders:
            raise DataProblem(
                f"no patients in {root}; expected folders TCGA_<site>_<patient>_<date>; "
                "copy them there"
            )
        records: list[Record] = []
        for folder in sorted(folders, key=lambda path: natural_key(path.name)):
            records += [_make_record(pair) for pair in find_pairs_beside(folder)]
        return records

    def read(self, record: Record) -> RawCase:
        """Decode one slice with its mask. Raises DataProblem naming the file."""
        return read_case(record, self.card.channels, self.card.classes)

    def _find_root(self) -> Path:
        """The folder that holds one folder for each patient. Raises DataProblem."""
        root = (self.data_folder or Path()) / "lgg" / "kaggle_3m"
        if self.data_folder is None or not root.is_dir():
            raise missing_folder(
                "lgg", self.data_folder, "lgg/kaggle_3m/TCGA_*/TCGA_*_<slice>{,_mask}.tif"
            )
        return root


def _make_record(pair: Pair) -> Record:
    """One slice. Raises DataProblem where its name does not say which patient it shows."""
    # patient TCGA_CS_4942 of TCGA_CS_4942_19970222_12, whatever folder the slice lies in
    match = re.fullmatch(r"(TCGA_[^_]+_[^_]+)_[^_]+_\d+", pair.stem)
    if not match:
        raise DataProblem(
            f"{pair.image}: expected a name such as TCGA_<site>_<patient>_<date>_<slice>, "
            "which tells the patient; rename or remove it"
        )
    return Record(pair.stem, match[1], None, _find_label(pair.masks), pair.image, pair.masks)


def _find_label(masks: tuple[Path, ...]) -> int | None:
    """1 with tumour, 0 without; None where a mask cannot be used, which `read` then reports."""
    try:
        return int(any(read_mask(path, CARD.classes).any() for path in masks))
    except DataProblem:
        return None


def _open(dataset_id: str, data_folder: Path | None) -> Lgg:
    return Lgg(data_folder)


DATASETS: dict[str, DatasetFactory] = {"lgg": _open}
