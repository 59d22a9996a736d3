"""ISIC 2016: images, masks and labels by order, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api import Dataset
from bench.errors import DataProblem
from datasets.isic2016 import DATASETS, PUBLISHED, PUBLISHED_TABLE


def isic(data: Path | None) -> Dataset:
    return DATASETS["isic2016"]("isic2016", data)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """DATA/isic2016 with three images, interpolated masks, and a test.csv written by Windows."""
    root = tmp_path / "isic2016"
    for folder in ("test_data", "test_masks"):
        (root / folder).mkdir(parents=True)
    levels = np.tile(np.array([0, 60, 127, 128, 200, 255], np.uint8), (4, 1))  # 4 6
    for number in (1002, 1000, 1001):
        Image.fromarray(np.full((4, 6, 3), number % 256, np.uint8)).save(
            root / f"test_data/ISIC_{number}.jpg"
        )
        Image.fromarray(levels).save(root / f"test_masks/ISIC_{number}_Segmentation.png")
    (root / "test.csv").write_bytes(b"0\r\n1\r\n0")
    return root


def test_labels_follow_the_order_of_the_names(root: Path) -> None:
    records = isic(root.parent).records()
    assert [(r.id, r.group, r.split, r.label) for r in records] == [
        ("ISIC_1000", "ISIC_1000", None, 0),
        ("ISIC_1001", "ISIC_1001", None, 1),
        ("ISIC_1002", "ISIC_1002", None, 0),
    ]


def test_masks_are_thresholded_at_half_range(root: Path) -> None:
    dataset = isic(root.parent)
    case = dataset.read(dataset.records()[0])
    assert (case.image.shape, case.image.dtype) == ((3, 4, 6), np.uint8)
    assert case.mask is not None
    np.testing.assert_array_equal(case.mask[0], [0, 0, 0, 1, 1, 1])


def test_the_card_says_that_patients_are_unknown(root: Path) -> None:
    card = isic(root.parent).card
    assert (card.unit, card.redistribute, card.normals) == ("image", False, False)
    assert "patients unknown" in card.source


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0\n1\n", r"test\.csv: 2 labels for 3 images; expected one line for each image"),
        ("0\n1\n0\n1\n", r"test\.csv: 4 labels for 3 images"),
        ("0\n\n2\n1\n", r"test\.csv line 3: label '2'; expected 0 \(benign\) or 1 \(malignant\)"),
    ],
)
def test_a_wrong_label_file_is_refused(root: Path, text: str, words: str) -> None:
    (root / "test.csv").write_text(text)
    with pytest.raises(DataProblem, match=words):
        isic(root.parent).records()


def test_missing_files_are_named(root: Path) -> None:
    (root / "test.csv").unlink()
    with pytest.raises(
        DataProblem, match=r"no file .*test\.csv; expected a text file with one entry per line"
    ):
        isic(root.parent).records()
    (root / "test_masks/ISIC_1001_Segmentation.png").unlink()
    words = (
        r"1 images without a mask \(ISIC_1001\.jpg\); "
        "expected test_masks/NAME, or NAME_Segmentation"
    )
    with pytest.raises(DataProblem, match=words):
        isic(root.parent).records()


def test_it_says_where_it_looked(tmp_path: Path) -> None:
    layout = r"isic2016/\{test_data,test_masks,test\.csv\}; give --data DIR or set SCARCEBENCH_DATA"
    with pytest.raises(
        DataProblem, match=rf"no folder 'isic2016' under {tmp_path}; expected {tmp_path}/{layout}"
    ):
        isic(tmp_path).records()
    with pytest.raises(
        DataProblem, match=rf"no data folder for 'isic2016'; expected one that holds {layout}"
    ):
        isic(None).records()


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """DATA/isic2016 as the ISIC Archive gives it: three images and the table of Part 3."""
    root = tmp_path / "isic2016"
    for folder in (PUBLISHED.images, PUBLISHED.masks):
        (root / folder).mkdir(parents=True)
    for number in (13, 3, 12):
        name = f"ISIC_{number:07d}"
        grey = np.full((4, 6), 255, np.uint8)
        Image.fromarray(np.stack([grey] * 3, 2)).save(root / PUBLISHED.images / f"{name}.jpg")
        Image.fromarray(grey).save(root / PUBLISHED.masks / f"{name}_Segmentation.png")
    table = "ISIC_0000003,0.0\nISIC_0000012,1.0\nISIC_0000013,0.0\n"
    (root / PUBLISHED_TABLE).write_text(table)
    return root


def test_the_layout_of_the_archive(published: Path) -> None:
    dataset = isic(published.parent)
    assert [(record.id, record.label) for record in dataset.records()] == [
        ("ISIC_0000003", 0),
        ("ISIC_0000012", 1),
        ("ISIC_0000013", 0),
    ]
    assert "resized" not in dataset.card.source


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("ISIC_0000003,2\n", r"line 1: 'ISIC_0000003,2'; expected NAME,0\.0 \(benign\)"),
        ("ISIC_0000003,0\nISIC_0000003,1\n", "line 2: .* each name once"),
        ("ISIC_0000003,0\n", r"2 images have no line \(ISIC_0000012, ISIC_0000013\)"),
    ],
)
def test_tables_of_the_archive_that_do_not_fit(published: Path, table: str, words: str) -> None:
    (published / PUBLISHED_TABLE).write_text(table)
    with pytest.raises(DataProblem, match=words):
        isic(published.parent).records()
