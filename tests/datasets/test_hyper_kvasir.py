"""HyperKvasir, segmented part: a folder of images and masks with a card of its own."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api import Dataset
from bench.data.check import check
from bench.errors import DataProblem
from datasets.hyper_kvasir import CARD, DATASETS

NAMES = ("0b4d57c3-2ff8", "0a7bdce4-ac0d")


def hyper(data: Path | None) -> Dataset:
    return DATASETS["hyper_kvasir"]("hyper_kvasir", data)


def write(root: Path, name: str) -> None:
    """An image and a mask whose left half is white, both JPEG."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    mask = np.zeros((16, 32), np.uint8)
    mask[:, :16] = 255
    Image.fromarray(np.full((16, 32, 3), 90, np.uint8)).save(root / "images" / f"{name}.jpg")
    Image.fromarray(mask).save(root / "masks" / f"{name}.jpg")


@pytest.mark.parametrize("place", ["hyper_kvasir/segmented-images", "hyper_kvasir"])
def test_images_with_their_card(tmp_path: Path, place: str) -> None:
    for name in NAMES:
        write(tmp_path / place, name)
    (tmp_path / place / "bounding-boxes.json").write_text("{}")
    dataset = hyper(tmp_path)
    assert dataset.card is CARD
    records = dataset.records()
    assert [(record.id, record.group, record.split) for record in records] == [
        (name, name, None) for name in sorted(NAMES)
    ]
    case = dataset.read(records[0])
    assert case.image.shape == (3, 16, 32)
    np.testing.assert_array_equal(case.mask, np.repeat([[1] * 16 + [0] * 16], 16, axis=0))


def test_a_table_of_patients_or_sides_is_heeded(tmp_path: Path) -> None:
    for name in NAMES:
        write(tmp_path / "hyper_kvasir", name)
    (tmp_path / "hyper_kvasir" / "split.csv").write_text(
        f"case,split\n{NAMES[0]},train\n{NAMES[1]},test\n"
    )
    assert [record.split for record in hyper(tmp_path).records()] == ["test", "train"]


def test_it_says_where_it_looked(tmp_path: Path) -> None:
    layout = (
        r"hyper_kvasir/segmented-images/\{images,masks\}; give --data DIR or set SCARCEBENCH_DATA"
    )
    with pytest.raises(
        DataProblem,
        match=rf"no folder 'hyper_kvasir' under {tmp_path}; expected {tmp_path}/{layout}",
    ):
        hyper(tmp_path)
    with pytest.raises(
        DataProblem, match=rf"no data folder for 'hyper_kvasir'; expected one that holds {layout}"
    ):
        hyper(None)


def test_no_masks_no_pictures_and_unreadable_files_are_one_line(tmp_path: Path) -> None:
    root = tmp_path / "hyper_kvasir"
    (root / "images").mkdir(parents=True)
    with pytest.raises(
        DataProblem, match=r"no folder .*hyper_kvasir/masks; expected one with pictures"
    ):
        hyper(tmp_path).records()
    (root / "masks").mkdir()
    with pytest.raises(
        DataProblem, match=r"no pictures in .*hyper_kvasir/images; expected png, jpg"
    ):
        hyper(tmp_path).records()
    for name in NAMES:
        write(root, name)
    (root / "images" / f"{NAMES[0]}.jpg").write_bytes(b"no picture")
    problems = check(hyper(tmp_path)).problems
    assert len(problems) == 1
    assert f"{NAMES[0]}.jpg: cannot be read" in problems[0]
    (root / "masks" / f"{NAMES[0]}.jpg").unlink()
    with pytest.raises(DataProblem, match=rf"1 images without a mask \({NAMES[0]}\.jpg\)"):
        hyper(tmp_path).records()
