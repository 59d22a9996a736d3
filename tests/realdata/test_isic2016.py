"""ISIC 2016 as stored: 379 lesions of 224 by 224, 75 of them malignant."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench.api import Dataset
from bench.data.check import Report, check
from datasets.isic2016 import DATASETS


@pytest.fixture(scope="module")
def isic(real_data: Path) -> Dataset:
    if not (real_data / "isic2016" / "test_data").is_dir():
        pytest.skip(f"no ISIC 2016 under {real_data}")
    return DATASETS["isic2016"]("isic2016", real_data)


@pytest.fixture(scope="module")
def report(isic: Dataset) -> Report:
    return check(isic)


def test_counts_and_labels(isic: Dataset) -> None:
    records = isic.records()
    assert Counter(record.label for record in records) == {0: 304, 1: 75}
    assert [records[0].id, records[-1].id] == ["ISIC_1000", "ISIC_1378"]
    assert {record.split for record in records} == {None}
    assert len({record.group for record in records}) == 379


def test_every_mask_holds_a_lesion(report: Report) -> None:
    assert (report.smallest, report.sizes, report.normals) == ((224, 224), 1, 0)
    assert report.classes[1].cases == 379
    assert report.classes[1].area == pytest.approx(0.29, abs=0.01)


def test_it_can_be_used_as_it_is(report: Report) -> None:
    assert (report.problems, report.notes, report.usable) == ([], {}, True)


def test_values(isic: Dataset) -> None:
    case = isic.read(isic.records()[0])
    assert (case.image.shape, case.image.dtype) == ((3, 224, 224), np.uint8)
    assert case.mask is not None
    assert np.unique(case.mask).tolist() == [0, 1]


def test_no_lesion_is_on_both_sides(report: Report) -> None:
    assert report.duplicates == []
