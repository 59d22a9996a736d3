"""ACDC as stored: 1,312 training slices of 70 patients and 40 test volumes of 20, as in SSL4MIS."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bench.api import Dataset, RawCase, Record
from datasets.acdc import DATASETS

SLICES = 1312
PATIENTS = {"train": 70, "validation": 3, "test": 20}


@dataclass(frozen=True)
class Facts:
    """What the tests need of a decoded case; the pixels of all cases would fill 400 MB."""

    types: tuple[np.dtype, np.dtype]  # of image and mask
    spacing: tuple[float, ...] | None
    shape: tuple[int, ...]  # C *S
    mask_shape: tuple[int, ...]
    lowest: float
    highest: float
    classes: tuple[int, ...]


@pytest.fixture(scope="module")
def acdc(real_data: Path) -> Dataset:
    if not (real_data / "acdc" / "train_slices.list").is_file():
        pytest.skip(f"no ACDC under {real_data}")
    return DATASETS["acdc"]("acdc", real_data)


@pytest.fixture(scope="module")
def records(acdc: Dataset) -> list[Record]:
    return acdc.records()


@pytest.fixture(scope="module")
def cases(acdc: Dataset, records: list[Record]) -> list[Facts]:
    return [read_facts(acdc.read(record)) for record in records]


def read_facts(case: RawCase) -> Facts:
    assert case.mask is not None
    return Facts(
        types=(case.image.dtype, case.mask.dtype),
        spacing=case.spacing,
        shape=case.image.shape,
        mask_shape=case.mask.shape,
        lowest=float(case.image.min()),
        highest=float(case.image.max()),
        classes=tuple(np.unique(case.mask).tolist()),
    )


@pytest.mark.parametrize(("split", "count"), [("train", SLICES), ("validation", 6), ("test", 40)])
def test_counts(records: list[Record], split: str, count: int) -> None:
    side = [record for record in records if record.split == split]
    assert (len(side), len({record.group for record in side})) == (count, PATIENTS[split])


@pytest.mark.parametrize(("split", "file"), [("train", "train_slices"), ("test", "test")])
def test_the_cases_are_those_of_the_published_lists(
    real_data: Path, records: list[Record], split: str, file: str
) -> None:
    path = real_data / "acdc/full_lists" / f"{file}.list"
    if not path.is_file():
        pytest.skip(f"no {path}; put the published list there")
    assert [record.id for record in records if record.split == split] == path.read_text().split()


def test_no_patient_is_on_two_sides(records: list[Record]) -> None:
    assert len({(record.group, record.split) for record in records}) == sum(PATIENTS.values())
    assert len({record.group for record in records}) == sum(PATIENTS.values())


@pytest.mark.parametrize(
    ("slices", "patients"),
    [(68, 3), (136, 7), (256, 14), (396, 21), (512, 28), (664, 35), (SLICES, 70)],
)
def test_the_first_slices_are_those_of_the_first_patients(
    records: list[Record], slices: int, patients: int
) -> None:
    """The pairs are those that SSL4MIS's `patients_to_slices` lists for ACDC."""
    groups = [record.group for record in records]
    first = set(groups[:slices])
    assert len(first) == patients
    assert first.isdisjoint(groups[slices:])


def test_values_and_classes(cases: list[Facts]) -> None:
    for case in cases:
        assert (case.types, case.spacing) == ((np.float32, np.uint8), None)
        assert case.mask_shape == case.shape[1:]
        assert case.lowest >= 0
        assert case.highest <= 1


def test_slices_train_and_volumes_test(cases: list[Facts]) -> None:
    slices = cases[:SLICES]
    volumes = cases[SLICES:]
    assert {len(case.shape) for case in slices} == {3}
    assert {len(case.shape) for case in volumes} == {4}
    for case in volumes:
        assert case.classes == (0, 1, 2, 3)
    assert sum(case.classes == (0,) for case in slices) == 43
