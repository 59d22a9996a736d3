"""LGG as it is: 156 slices of 5 patients, 61 with tumour."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench.api import Dataset, Record
from bench.data.check import Report, check
from datasets.lgg import DATASETS


@pytest.fixture(scope="module")
def lgg(real_data: Path) -> Dataset:
    if not (real_data / "lgg" / "kaggle_3m").is_dir():
        pytest.skip(f"no LGG under {real_data}")
    return DATASETS["lgg"]("lgg", real_data)


@pytest.fixture(scope="module")
def records(lgg: Dataset) -> list[Record]:
    return lgg.records()


@pytest.fixture(scope="module")
def report(lgg: Dataset) -> Report:
    return check(lgg)


def test_counts_patients_and_labels(records: list[Record]) -> None:
    assert Counter(record.label for record in records) == {0: 95, 1: 61}
    assert Counter(record.group for record in records) == {
        "TCGA_CS_4942": 20,
        "TCGA_CS_5393": 20,
        "TCGA_DU_5854": 36,
        "TCGA_FG_6689": 48,
        "TCGA_HT_7882": 32,
    }
    assert len({record.id for record in records}) == 156


def test_slices_of_a_patient_go_up(records: list[Record]) -> None:
    numbers = [
        int(record.id.rpartition("_")[2]) for record in records if record.group == "TCGA_FG_6689"
    ]
    assert numbers == list(range(1, 49))


def test_it_can_be_used_as_it_is(report: Report) -> None:
    assert (report.problems, report.notes, report.usable) == ([], {}, True)
    assert (report.smallest, report.sizes, report.normals) == ((256, 256), 1, 95)
    assert report.classes[1].area == pytest.approx(0.016, abs=0.001)


def test_tumour_is_bright_in_flair(lgg: Dataset, records: list[Record]) -> None:
    """Masks lie on what they name: the FLAIR channel is brighter inside them than in the rest of the head."""
    brighter = []
    for record in (record for record in records if record.label):
        case = lgg.read(record)
        assert case.mask is not None
        assert (case.image.shape, case.image.dtype) == ((3, 256, 256), np.uint8)
        flair, inside = case.image[1].astype(float), case.mask > 0
        brighter.append(flair[inside].mean() > flair[(flair > 20) & ~inside].mean())
    assert np.mean(brighter) > 0.9
