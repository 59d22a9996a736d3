"""ISIC 2016: skin lesions with masks and a benign or malignant label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.api import Card, DatasetFactory, RawCase, Record
from bench.errors import DataProblem, cut
from datasets.readers.pairing import Layout, Pair, find_pairs, first_names, missing_folder
from datasets.readers.pictures import read_case
from datasets.readers.user_files import read_lines

LAYOUT = Layout(images="test_data", masks="test_masks", suffix="_Segmentation")
LABELS = {"0": 0, "1": 1}  # benign, malignant
PUBLISHED = Layout(  # as the ISIC Archive gives it
    images="ISBI2016_ISIC_Part1_Test_Data",
    masks="ISBI2016_ISIC_Part1_Test_GroundTruth",
    suffix="_Segmentation",
)
PUBLISHED_TABLE = "ISBI2016_ISIC_Part3_Test_GroundTruth.csv"
PUBLISHED_LABELS = {"0": 0, "0.0": 0, "benign": 0, "1": 1, "1.0": 1, "malignant": 1}

CARD = Card(
    id="isic2016",
    title="ISIC 2016: skin lesions in dermoscopy",
    ndim=2,
    channels=3,
    classes=("background", "lesion"),
    normals=False,
    unit="image",
    source="test set of ISBI 2016 Part 1, resized to 224x224; patients unknown",
    licence="terms of the ISBI 2016 challenge and the ISIC Archive; the paper must be cited",
    citation="Gutman et al., Skin Lesion Analysis toward Melanoma Detection (ISBI 2016), "
    "arXiv:1605.01397",
    redistribute=False,
    labels=("benign", "malignant"),
)
PUBLISHED_SOURCE = "test set of ISBI 2016 Part 1, with the labels of Part 3; patients unknown"


class Isic2016:
    """Skin lesions; their patients are not known, so each image is a group of its own."""

    def __init__(self, data_folder: Path | None) -> None:
        self.data_folder = data_folder
        self.is_published = _is_published(data_folder)
        self.card = replace(CARD, source=PUBLISHED_SOURCE) if self.is_published else CARD

    def records(self) -> list[Record]:
        """All images with label 0 (benign) or 1 (malignant), without a split.

        Raises DataProblem.
        """
        root = self._find_root()
        if self.is_published:
            pairs = find_pairs(root, PUBLISHED)
            labels = _read_published_labels(root / PUBLISHED_TABLE, pairs)
        else:
            pairs = find_pairs(root, LAYOUT)
            pairs.sort(key=lambda pair: pair.stem)  # the order of test.csv
            labels = _read_labels(root / "test.csv", pairs)
        return [
            Record(pair.stem, pair.stem, None, label, pair.image, pair.masks)
            for pair, label in zip(pairs, labels, strict=True)
        ]

    def read(self, record: Record) -> RawCase:
        """Decode one image with its mask, thresholded at half range because it was interpolated."""
        return read_case(record, self.card.channels, self.card.classes)

    def _find_root(self) -> Path:
        """The folder that holds test_data/. Raises DataProblem."""
        root = (self.data_folder or Path()) / "isic2016"
        if self.is_published:
            return root
        if self.data_folder is None or not (root / LAYOUT.images).is_dir():
            raise missing_folder(
                "isic2016", self.data_folder, "isic2016/{test_data,test_masks,test.csv}"
            )
        return root


def _is_published(data_folder: Path | None) -> bool:
    """Whether the folder holds what the ISIC Archive gives, and not the resized copy."""
    root = (data_folder or Path()) / "isic2016"
    is_there = data_folder is not None and (root / PUBLISHED.images).is_dir()
    return is_there and not (root / LAYOUT.images).is_dir()


def _read_published_labels(path: Path, pairs: list[Pair]) -> list[int]:
    """The label of each image, from lines NAME,LABEL. Raises DataProblem on others."""
    labels: dict[str, int] = {}
    for number, text in read_lines(path):
        name, _, label = (part.strip() for part in text.partition(","))
        if label not in PUBLISHED_LABELS or name in labels:
            raise DataProblem(
                f"{path} line {number}: '{cut(text)}'; expected NAME,0.0 (benign) or NAME,1.0 "
                "(malignant), each name once; download it again"
            )
        labels[name] = PUBLISHED_LABELS[label]
    absent = [pair.stem for pair in pairs if pair.stem not in labels]
    if absent:
        raise DataProblem(
            f"{path}: {len(absent)} images have no line ({first_names(absent)}); expected one for "
            "each; download it again"
        )
    return [labels[pair.stem] for pair in pairs]


def _read_labels(path: Path, pairs: list[Pair]) -> list[int]:
    """One label for each image. Raises DataProblem on a wrong number of lines or a wrong value."""
    lines = read_lines(path)
    if len(lines) != len(pairs):
        raise DataProblem(
            f"{path}: {len(lines)} labels for {len(pairs)} images; expected one line for each "
            "image, in the order of their names; copy the images and test.csv from one source"
        )
    for number, text in lines:
        if text not in LABELS:
            raise DataProblem(
                f"{path} line {number}: label '{text}'; expected 0 (benign) or 1 (malignant); "
                "fix that line"
            )
    return [LABELS[text] for _, text in lines]


def _open(dataset_id: str, data_folder: Path | None) -> Isic2016:
    return Isic2016(data_folder)


DATASETS: dict[str, DatasetFactory] = {"isic2016": _open}
