"""ISIC 2018, Task 1: skin lesions with masks, in the split of the challenge."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem
from datasets.readers.pairing import Layout, find_pairs, missing_folder
from datasets.readers.pictures import read_case

Split = Literal["train", "validation", "test"]

SIDES: tuple[tuple[Split, str], ...] = (
    ("train", "Training"),
    ("validation", "Validation"),
    ("test", "Test"),
)
PAGE = "https://challenge.isic-archive.com/data/#2018"

CARD = Card(
    id="isic2018",
    title="ISIC 2018: skin lesions in dermoscopy",
    ndim=2,
    channels=3,
    classes=("background", "lesion"),
    normals=False,
    unit="image (patients unknown)",
    source=f"Task 1 of the ISIC 2018 challenge, {PAGE}",
    licence="terms of the ISIC 2018 challenge and the ISIC Archive; the papers must be cited",
    citation="Codella et al., Skin Lesion Analysis toward Melanoma Detection 2018, "
    "arXiv:1902.03368; Tschandl et al., The HAM10000 dataset, Scientific Data 2018",
    redistribute=False,
)


class Isic2018:
    """Skin lesions; their patients are not known, so each image is a group of its own."""

    card = CARD

    def __init__(self, data_folder: Path | None) -> None:
        self.data_folder = data_folder

    def records(self) -> list[Record]:
        """Training (2594), validation (100) and test images (1000), each in natural order.

        Raises DataProblem.
        """
        root = self._find_root()
        records: list[Record] = []
        for split, word in SIDES:
            records += _list_records(root, split, word)
        return records

    def read(self, record: Record) -> RawCase:
        """Decode one image with its mask of 0 and 255."""
        return read_case(record, self.card.channels, self.card.classes)

    def _find_root(self) -> Path:
        """The folder that holds the folders of the challenge. Raises DataProblem."""
        root = (self.data_folder or Path()) / "isic2018"
        if self.data_folder is None or not root.is_dir():
            layout = (
                "isic2018/ISIC2018_{Task1-2_{Training,Validation,Test}_Input,Task1_..._GroundTruth}"
            )
            raise missing_folder("isic2018", self.data_folder, layout)
        return root


def _list_records(root: Path, split: Split, word: str) -> list[Record]:
    """One side of the split. Raises DataProblem where its images or masks are missing."""
    layout = Layout(
        f"ISIC2018_Task1-2_{word}_Input", f"ISIC2018_Task1_{word}_GroundTruth", "_segmentation"
    )
    for folder, content in ((layout.images, "images"), (layout.masks, "masks")):
        if not (root / folder).is_dir():
            raise DataProblem(
                f"no folder {root / folder}; expected the {split} {content} of Task 1; "
                f"download it from {PAGE}"
            )
    pairs = find_pairs(root, layout)
    if not pairs:
        raise DataProblem(
            f"no pictures in {root / layout.images}; expected ISIC_<7 digits>.jpg; copy them there"
        )
    return [
        Record(pair.stem, pair.stem, split, image=pair.image, masks=pair.masks) for pair in pairs
    ]


def _open(dataset_id: str, data_folder: Path | None) -> Isic2018:
    return Isic2018(data_folder)


DATASETS: dict[str, DatasetFactory] = {"isic2018": _open}
