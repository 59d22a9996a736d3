"""BUSI as stored: 16 images of each kind, grey stored in colour, one mask of another size."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench.api import Dataset
from bench.data.check import Report, check
from datasets.busi import DATASETS
from datasets.readers.pictures import RESIZED, read_mask


@pytest.fixture(scope="module")
def busi(real_data: Path) -> Dataset:
    if not (real_data / "busi" / "normal").is_dir():
        pytest.skip(f"no BUSI under {real_data}")
    return DATASETS["busi"]("busi", real_data)


@pytest.fixture(scope="module")
def report(busi: Dataset) -> Report:
    return check(busi)


def test_counts_and_labels(busi: Dataset) -> None:
    records = busi.records()
    assert Counter(record.label for record in records) == {0: 16, 1: 16, 2: 16}
    assert [records[0].id, records[16].id, records[-1].id] == [
        "normal (1)",
        "benign (1)",
        "malignant (16)",
    ]
    assert len({record.id for record in records}) == 48


def test_normal_images_are_empty_and_the_others_are_not(busi: Dataset) -> None:
    for record in busi.records():
        case = busi.read(record)
        assert case.mask is not None
        assert case.mask.any() == (record.label != 0), record.id
        assert (case.image.shape, case.image.dtype) == ((1, *case.mask.shape), np.uint8)


def test_it_can_be_used_as_it_is(report: Report) -> None:
    assert (report.problems, report.usable, report.normals) == ([], True, 16)
    assert report.notes == {RESIZED: 1}
    assert report.classes[1].area == pytest.approx(0.053, abs=0.001)


def test_some_images_are_frames_of_one_scan(report: Report) -> None:
    assert [(pair.first, pair.second) for pair in report.duplicates] == [
        ("normal (5)", "normal (13)"),
        ("malignant (4)", "malignant (5)"),
        ("malignant (7)", "malignant (8)"),
        ("malignant (7)", "malignant (9)"),
        ("malignant (8)", "malignant (9)"),
    ]


def test_both_masks_of_an_image_count(busi: Dataset) -> None:
    record = next(record for record in busi.records() if record.id == "benign (25)")
    areas = [int(read_mask(path, busi.card.classes).sum()) for path in record.masks]
    mask = busi.read(record).mask
    assert mask is not None
    assert len(areas) == 2
    assert mask.sum() == sum(areas)  # the two lesions do not overlap


def test_a_mask_of_another_size_reaches_its_image(busi: Dataset) -> None:
    record = next(record for record in busi.records() if record.id == "benign (4)")
    case = busi.read(record)
    assert case.mask is not None
    assert case.mask.shape == (416, 416)
    columns = np.flatnonzero(case.mask.any(axis=0))
    assert columns[0] < 20  # the first lesion, at the left rim
    assert 225 < columns[-1] < 255  # the second, in columns 305 to 337 of 555
