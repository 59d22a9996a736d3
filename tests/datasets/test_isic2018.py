"""ISIC 2018, Task 1: the split of the challenge, its masks, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api import Dataset
from bench.data.check import check
from bench.errors import DataProblem
from datasets.isic2018 import DATASETS

NUMBERS = {"Training": (16, 3), "Validation": (12255,), "Test": (12169, 12170)}


def isic(data: Path | None) -> Dataset:
    return DATASETS["isic2018"]("isic2018", data)


def images(word: str) -> str:
    return f"ISIC2018_Task1-2_{word}_Input"


def masks(word: str) -> str:
    return f"ISIC2018_Task1_{word}_GroundTruth"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """DATA/isic2018 with images of different sizes, and the texts that lie beside them."""
    root = tmp_path / "isic2018"
    for word, numbers in NUMBERS.items():
        for folder in (images(word), masks(word)):
            (root / folder).mkdir(parents=True)
            (root / folder / "LICENSE.txt").write_text("terms")
        for number in numbers:
            shape = (4, 6 + number % 3)
            mask = np.zeros(shape, np.uint8)
            mask[:2] = 255
            Image.fromarray(np.full((*shape, 3), 90, np.uint8)).save(
                root / images(word) / f"ISIC_{number:07}.jpg"
            )
            Image.fromarray(mask).save(root / masks(word) / f"ISIC_{number:07}_segmentation.png")
    return root


def test_the_split_is_that_of_the_challenge(root: Path) -> None:
    records = isic(root.parent).records()
    assert [(record.id, record.split) for record in records] == [
        ("ISIC_0000003", "train"),
        ("ISIC_0000016", "train"),
        ("ISIC_0012255", "validation"),
        ("ISIC_0012169", "test"),
        ("ISIC_0012170", "test"),
    ]
    assert all(record.group == record.id and record.label is None for record in records)


def test_images_and_masks(root: Path) -> None:
    dataset = isic(root.parent)
    case = dataset.read(dataset.records()[1])
    assert (case.image.shape, case.image.dtype) == ((3, 4, 7), np.uint8)
    np.testing.assert_array_equal(case.mask, np.repeat([[1], [1], [0], [0]], 7, axis=1))
    report = check(dataset)
    assert (report.problems, report.sizes, report.usable) == ([], 3, True)


def test_the_card_says_what_is_known(root: Path) -> None:
    card = isic(root.parent).card
    assert (card.unit, card.redistribute, card.normals) == (
        "image (patients unknown)",
        False,
        False,
    )


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        (
            masks("Test"),
            "GroundTruth; expected the test masks of Task 1; download it from https://challenge",
        ),
        (
            images("Validation"),
            "Validation_Input; expected the validation images of Task 1; download it from https://",
        ),
    ],
)
def test_a_missing_folder_is_one_line(root: Path, folder: str, words: str) -> None:
    shutil.rmtree(root / folder)
    with pytest.raises(DataProblem, match=rf"^no folder .*{words}[^\n]*$"):
        isic(root.parent).records()


def test_a_missing_mask_is_named(root: Path) -> None:
    (root / masks("Test") / "ISIC_0012170_segmentation.png").unlink()
    with pytest.raises(
        DataProblem, match=r"1 images without a mask \(ISIC_0012170\.jpg\); .*NAME_segmentation"
    ):
        isic(root.parent).records()


def test_a_side_without_pictures_is_refused(root: Path) -> None:
    for folder in (images("Training"), masks("Training")):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()
    with pytest.raises(
        DataProblem, match=r"no pictures in .*Training_Input; expected ISIC_<7 digits>\.jpg"
    ):
        isic(root.parent).records()


def test_an_unreadable_image_is_named(root: Path) -> None:
    (root / images("Test") / "ISIC_0012170.jpg").write_bytes(b"no picture")
    problems = check(isic(root.parent)).problems
    assert len(problems) == 1
    assert "ISIC_0012170.jpg: cannot be read" in problems[0]


def test_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(
        DataProblem,
        match=rf"no folder 'isic2018' under {tmp_path}; expected {tmp_path}/isic2018/ISIC",
    ):
        isic(tmp_path).records()
    with pytest.raises(DataProblem, match=r"no data folder for 'isic2018'; .*give --data DIR"):
        isic(None).records()
