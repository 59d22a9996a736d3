"""LA as stored: 12 training and 4 test volumes, the first rows of the published lists."""

from hashlib import sha256
from pathlib import Path
from shutil import copy

import h5py
import numpy as np
import pytest

from bench.api import Dataset, RawCase, Record
from bench.data.check import check
from datasets.h5_volumes import DATASETS


@pytest.fixture(scope="module")
def la(real_data: Path) -> Dataset:
    if not (real_data / "la" / "train.list").is_file():
        pytest.skip(f"no LA under {real_data}")
    return DATASETS["la"]("la", real_data)


@pytest.fixture(scope="module")
def records(la: Dataset) -> list[Record]:
    return la.records()


@pytest.fixture(scope="module")
def cases(la: Dataset, records: list[Record]) -> list[RawCase]:
    return [la.read(record) for record in records]


def published(real_data: Path, side: str) -> list[str]:
    path = real_data / "la/full_lists" / f"{side}.list"
    if not path.is_file():
        pytest.skip(f"no {path}; put the published list there")
    return path.read_text().split()


@pytest.mark.parametrize(("split", "count"), [("train", 12), ("test", 4)])
def test_the_cases_are_the_first_of_the_published_lists(
    real_data: Path, records: list[Record], split: str, count: int
) -> None:
    side = [record for record in records if record.split == split]
    assert [record.id for record in side] == published(real_data, split)[:count]
    assert [record.group for record in side] == [record.id for record in side]


@pytest.mark.parametrize(
    ("split", "count", "digest"),
    [("train", 80, "e88c3f0bae70edcc"), ("test", 20, "e55b18069e27d6ea")],
)
def test_ids_keep_the_hash_of_the_published_lists(
    la: Dataset, real_data: Path, tmp_path: Path, split: str, count: int, digest: str
) -> None:
    for side in ("train", "test"):
        for case in published(real_data, side):
            folder = tmp_path / "la/2018LA_Seg_Training Set" / case
            folder.mkdir(parents=True)
            (folder / "mri_norm2.h5").touch()
        copy(real_data / "la/full_lists" / f"{side}.list", tmp_path / "la")
    ids = [
        record.id for record in DATASETS["la"]("la", tmp_path).records() if record.split == split
    ]
    assert len(ids) == count
    assert sha256("".join(f"{case}\n" for case in ids).encode()).hexdigest()[:16] == digest


def test_values_and_classes(cases: list[RawCase]) -> None:
    for case in cases:
        assert case.mask is not None
        assert (case.image.dtype, case.mask.dtype) == (np.float32, np.uint8)
        assert (case.image.shape[0], case.image.shape[3], case.spacing) == (1, 88, (0.625,) * 3)
        assert case.mask.shape == case.image.shape[1:]
        # the background of a volume that was z-scored before it was cropped
        assert -1 < case.image.min() < -0.5
        assert 2 < case.image.max() < 8
        assert np.unique(case.mask).tolist() == [0, 1]
        assert 0.06 < case.mask.mean() < 0.11


def test_values_are_not_scored_again(records: list[Record], cases: list[RawCase]) -> None:
    for record, case in zip(records, cases, strict=True):
        assert record.image is not None
        with h5py.File(record.image, "r") as file:
            np.testing.assert_array_equal(case.image[0], file["image"][()])


def test_it_can_be_used_as_it_is(la: Dataset) -> None:
    report = check(la)
    assert (report.problems, report.notes, report.duplicates, report.usable) == ([], {}, [], True)
    assert [(side.name, side.cases, side.groups) for side in report.splits] == [
        ("train", 12, 12),
        ("test", 4, 4),
    ]
    assert (report.normals, report.classes[1].cases) == (0, 16)
