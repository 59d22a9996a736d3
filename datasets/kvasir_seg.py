"""Kvasir-SEG: polyps in colonoscopy images, in split folders or as its authors publish it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from bench.api import Card, DatasetFactory, RawCase, Record
from datasets.readers.pairing import find_pairs, missing_folder
from datasets.readers.pictures import read_case

SPLITS: tuple[Literal["train", "validation", "test"], ...] = ("train", "validation", "test")

CARD = Card(
    id="kvasir_seg",
    title="Kvasir-SEG: polyps in colonoscopy images",
    ndim=2,
    channels=3,
    classes=("background", "polyp"),
    normals=False,
    unit="image",
    source="Simula, https://datasets.simula.no/kvasir-seg; split folders as in EffiSegNet "
    "(352x352); patients unknown",
    licence="research and education only; commercial use needs written permission; "
    "the paper must be cited",
    citation="Jha et al., Kvasir-SEG: A Segmented Polyp Dataset, MMM 2020",
    redistribute=False,
)


class KvasirSeg:
    """Polyp images; their patients are not known, so each image is a group of its own."""

    card = CARD

    def __init__(self, data_folder: Path | None) -> None:
        self.data_folder = data_folder

    def records(self) -> list[Record]:
        """Training, validation and test images, or all images without a split, in natural order.

        Raises DataProblem.
        """
        return list(_list_records(self._find_root()))

    def read(self, record: Record) -> RawCase:
        """Decode one image with its mask, thresholded at half range because it is a JPEG."""
        return read_case(record, self.card.channels, self.card.classes)

    def _find_root(self) -> Path:
        """The folder that holds images/ or train/images/. Raises DataProblem."""
        if self.data_folder is not None:
            for subfolder in ("kvasir_seg/Kvasir-SEG", "kvasir_seg", "Kvasir-SEG"):
                root = self.data_folder / subfolder
                if (root / "images").is_dir() or (root / "train" / "images").is_dir():
                    return root
        layout = (
            "kvasir_seg/Kvasir-SEG/{train,validation,test}/{images,masks} or .../{images,masks}"
        )
        raise missing_folder("kvasir_seg", self.data_folder, layout)


def _list_records(root: Path) -> Iterator[Record]:
    """The images of one folder, or of the three split folders. Raises DataProblem."""
    if (root / "images").is_dir():
        for pair in find_pairs(root):
            yield Record(pair.stem, pair.stem, None, image=pair.image, masks=pair.masks)
        return
    for split in SPLITS:
        for pair in find_pairs(root / split):
            name = f"{split}_{pair.stem}"  # file names repeat from split to split
            yield Record(name, name, split, image=pair.image, masks=pair.masks)


def _open(dataset_id: str, data_folder: Path | None) -> KvasirSeg:
    return KvasirSeg(data_folder)


DATASETS: dict[str, DatasetFactory] = {"kvasir_seg": _open}
