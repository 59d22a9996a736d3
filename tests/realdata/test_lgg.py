"""LGG as stored: 689 slices of 20 patients, 254 of them with tumour."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench.api import Dataset, Record
from bench.data.check import Report, check
from datasets.lgg import DATASETS

# slices, and slices with tumour, of each patient
COUNTS = {
    "TCGA_CS_4942": (20, 6),
    "TCGA_CS_5393": (20, 8),
    "TCGA_CS_5395": (20, 3),
    "TCGA_CS_6666": (26, 11),
    "TCGA_DU_5853": (36, 7),
    "TCGA_DU_5854": (36, 10),
    "TCGA_DU_6401": (51, 25),
    "TCGA_DU_7013": (49, 12),
    "TCGA_DU_7300": (36, 9),
    "TCGA_DU_8163": (37, 5),
    "TCGA_DU_A5TR": (38, 15),
    "TCGA_FG_5962": (51, 26),
    "TCGA_FG_6689": (48, 20),
    "TCGA_FG_7637": (51, 18),
    "TCGA_HT_7475": (32, 14),
    "TCGA_HT_7686": (20, 10),
    "TCGA_HT_7860": (22, 6),
    "TCGA_HT_7882": (32, 17),
    "TCGA_HT_8105": (32, 17),
    "TCGA_HT_A5RC": (32, 15),
}


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
    assert Counter(record.label for record in records) == {0: 435, 1: 254}
    slices = Counter(record.group for record in records)
    with_tumour = Counter(record.group for record in records if record.label)
    assert {group: (slices[group], with_tumour[group]) for group in slices} == COUNTS
    assert len({record.id for record in records}) == 689


@pytest.mark.parametrize("patient", COUNTS)
def test_slices_of_a_patient_go_up(records: list[Record], patient: str) -> None:
    numbers = [int(record.id.rpartition("_")[2]) for record in records if record.group == patient]
    slices, _ = COUNTS[patient]
    assert numbers == list(range(1, slices + 1))


def test_it_can_be_used_as_it_is(report: Report) -> None:
    assert (report.problems, report.notes, report.usable) == ([], {}, True)
    assert (report.smallest, report.sizes, report.normals) == ((256, 256), 1, 435)
    assert report.classes[1].area == pytest.approx(0.0121, abs=0.0001)


def test_tumour_is_bright_in_flair(lgg: Dataset, records: list[Record]) -> None:
    """The FLAIR channel is brighter inside the masks than in the rest of the head."""
    brighter = []
    for record in (record for record in records if record.label):
        case = lgg.read(record)
        assert case.mask is not None
        assert (case.image.shape, case.image.dtype) == ((3, 256, 256), np.uint8)
        flair, inside = case.image[1].astype(float), case.mask > 0
        brighter.append(flair[inside].mean() > flair[(flair > 20) & ~inside].mean())
    assert np.mean(brighter) > 0.9


def test_no_two_patients_share_a_slice(report: Report) -> None:
    """With the older rule, two nearly black slices of TCGA_HT_7686 and TCGA_HT_8105 were a pair."""
    assert report.duplicates == []
    assert report.look_alikes > 500
