"""ACDC as it is: 482 training slices of 26 patients, 16 test volumes of 8 patients, in the order of SSL4MIS."""

from pathlib import Path

import numpy as np
import pytest

from bench.api import Dataset, RawCase, Record
from datasets.acdc import DATASETS


@pytest.fixture(scope="module")
def acdc(real_data: Path) -> Dataset:
    if not (real_data / "acdc" / "train_slices.list").is_file():
        pytest.skip(f"no ACDC under {real_data}")
    return DATASETS["acdc"]("acdc", real_data)


@pytest.fixture(scope="module")
def records(acdc: Dataset) -> list[Record]:
    return acdc.records()


@pytest.fixture(scope="module")
def cases(acdc: Dataset, records: list[Record]) -> list[RawCase]:
    return [acdc.read(record) for record in records]


@pytest.mark.parametrize(
    ("split", "count", "patients"), [("train", 482, 26), ("validation", 6, 3), ("test", 16, 8)]
)
def test_counts(records: list[Record], split: str, count: int, patients: int) -> None:
    side = [record for record in records if record.split == split]
    assert (len(side), len({record.group for record in side})) == (count, patients)


def test_no_patient_is_on_two_sides(records: list[Record]) -> None:
    assert len({(record.group, record.split) for record in records}) == 26 + 3 + 8


@pytest.mark.parametrize(("slices", "patients"), [(68, 3), (136, 7)])
def test_the_first_slices_are_those_of_the_first_patients(
    records: list[Record], slices: int, patients: int
) -> None:
    groups = [record.group for record in records]
    first = set(groups[:slices])
    assert len(first) == patients
    assert first.isdisjoint(groups[slices:])


def test_values_and_classes(cases: list[RawCase]) -> None:
    for case in cases:
        assert case.mask is not None
        assert (case.image.dtype, case.mask.dtype, case.spacing) == (np.float32, np.uint8, None)
        assert case.mask.shape == case.image.shape[1:]
        assert case.image.min() >= 0
        assert case.image.max() <= 1


def test_slices_train_and_volumes_test(cases: list[RawCase]) -> None:
    assert {case.image.ndim for case in cases[:482]} == {3}
    assert {case.image.ndim for case in cases[482:]} == {4}
    for case in cases[482:]:
        assert np.unique(case.mask).tolist() == [0, 1, 2, 3]  # type: ignore[arg-type]
    assert sum(not case.mask.any() for case in cases[:482] if case.mask is not None) == 14
