"""Kvasir-SEG: split folders, the layout of its authors, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api import Dataset
from bench.errors import DataProblem
from datasets.kvasir_seg import DATASETS

SPLITS = ("train", "validation", "test")
RNG = np.random.default_rng(3)


def write_pair(root: Path, name: str) -> None:
    """Write a random image and a mask whose upper half is white, both JPEG."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    image = RNG.integers(0, 256, (12, 16, 3), np.uint8)
    mask = np.zeros((12, 16), np.uint8)
    mask[:6] = 255
    Image.fromarray(image).save(root / "images" / f"{name}.jpg")
    Image.fromarray(mask).save(root / "masks" / f"{name}.jpg")


def kvasir(data: Path | None) -> Dataset:
    return DATASETS["kvasir_seg"]("kvasir_seg", data)


@pytest.mark.parametrize("place", ["kvasir_seg/Kvasir-SEG", "kvasir_seg", "Kvasir-SEG"])
def test_kvasir_in_split_folders(tmp_path: Path, place: str) -> None:
    for split in SPLITS:
        for name in ("10", "2", "0"):
            write_pair(tmp_path / place / split, name)
    dataset = kvasir(tmp_path)
    records = dataset.records()
    assert [record.id for record in records] == [
        f"{split}_{n}" for split in SPLITS for n in (0, 2, 10)
    ]
    assert [record.split for record in records] == [split for split in SPLITS for _ in range(3)]
    assert all(record.group == record.id for record in records)
    case = dataset.read(records[-1])
    assert case.image.shape == (3, 12, 16)
    assert case.image.dtype == np.uint8
    assert case.mask is not None
    np.testing.assert_array_equal(case.mask[:, 0], [1] * 6 + [0] * 6)


def test_kvasir_as_distributed_has_no_split(tmp_path: Path) -> None:
    for name in ("cju0qk", "cju0qoxq"):
        write_pair(tmp_path / "kvasir_seg" / "Kvasir-SEG", name)
    records = kvasir(tmp_path).records()
    assert [(record.id, record.split) for record in records] == [
        ("cju0qk", None),
        ("cju0qoxq", None),
    ]


def test_kvasir_says_where_it_looked(tmp_path: Path) -> None:
    layout = (
        r"kvasir_seg/Kvasir-SEG/\{train,validation,test\}.*; "
        "give --data DIR or set SCARCEBENCH_DATA"
    )
    with pytest.raises(
        DataProblem, match=rf"no folder 'kvasir_seg' under {tmp_path}; expected {tmp_path}/{layout}"
    ):
        kvasir(tmp_path).records()
    with pytest.raises(
        DataProblem, match=rf"no data folder for 'kvasir_seg'; expected one that holds {layout}"
    ):
        kvasir(None).records()


def test_kvasir_without_one_of_its_split_folders_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path / "kvasir_seg" / "train", "0")
    with pytest.raises(
        DataProblem, match=r"no folder .*validation/images; expected one with pictures"
    ):
        kvasir(tmp_path).records()
