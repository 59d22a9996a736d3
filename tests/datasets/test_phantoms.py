"""The drawn datasets: counts, determinism, and what patients and lesions look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.api import RawCase, Record
from datasets.phantoms import DATASETS

Pairs = list[tuple[Record, RawCase]]


def _read_all(name: str) -> Pairs:
    dataset = DATASETS[name](name, None)
    return [(record, dataset.read(record)) for record in dataset.records()]


@pytest.fixture(scope="module")
def flat() -> Pairs:
    return _read_all("phantoms")


@pytest.fixture(scope="module")
def volumes() -> Pairs:
    return _read_all("phantoms3d")


def _colours(pairs: Pairs) -> np.ndarray:
    """Mean colour outside the lesions, patients x frames x channels."""
    means = np.array([case.image[:, case.mask == 0].mean(1) for _, case in pairs])
    return means.reshape(-1, 6, 3)


@pytest.mark.parametrize(("split", "patients"), [("train", 40), ("test", 30)])
def test_a_quarter_of_the_frames_is_normal(flat: Pairs, split: str, patients: int) -> None:
    chosen = [(record, case) for record, case in flat if record.split == split]
    normals = [record.group for record, case in chosen if not case.mask.any()]
    assert len(chosen) == 6 * patients
    assert len({record.group for record, _ in chosen}) == patients
    assert 4 * len(normals) == len(chosen)
    assert {normals.count(group) for group in set(normals)} == {1, 2}
    assert len(set(normals)) == patients


@pytest.mark.parametrize("name", ["phantoms", "phantoms3d"])
def test_records_are_unique_and_splits_share_no_patient(name: str) -> None:
    records = DATASETS[name](name, None).records()
    groups = {split: {r.group for r in records if r.split == split} for split in ("train", "test")}
    assert len({record.id for record in records}) == len(records)
    assert all(groups.values())
    assert not groups["train"] & groups["test"]
    assert all(
        record.id.startswith(record.group + "_f") and record.image is None for record in records
    )


@pytest.mark.parametrize("name", ["phantoms", "phantoms3d"])
def test_the_card_tells_what_is_drawn(name: str) -> None:
    card = DATASETS[name](name, None).card
    assert (card.id, card.unit, card.synthetic, card.redistribute) == (name, "patient", True, True)
    assert len(card.classes) == 3
    assert card.classes[0] == "background"


@pytest.mark.parametrize("name", ["phantoms", "phantoms3d"])
def test_a_case_depends_on_its_id_alone(name: str, tmp_path: Path) -> None:
    one = DATASETS[name](name, None)
    two = DATASETS[name](name, tmp_path)
    records = one.records()[:8]
    forward = [one.read(record) for record in records]
    backward = [two.read(record) for record in reversed(records)][::-1]
    for first, second in zip(forward, backward, strict=True):
        assert first.image.tobytes() == second.image.tobytes()
        assert first.mask.tobytes() == second.mask.tobytes()


def test_frames_are_rgb_bytes_and_all_different(flat: Pairs) -> None:
    assert {(case.image.dtype.name, case.image.shape) for _, case in flat} == {
        ("uint8", (3, 64, 64))
    }
    assert {(case.mask.dtype.name, case.mask.shape) for _, case in flat} == {("uint8", (64, 64))}
    assert len({case.image.tobytes() for _, case in flat}) == len(flat)


def test_both_classes_are_common_and_large_enough(flat: Pairs) -> None:
    sizes = np.array([np.bincount(case.mask.ravel(), minlength=3) for _, case in flat])
    assert sizes.shape[1] == 3
    assert ((sizes[:, 1:] > 0).mean(0) > 0.3).all()
    assert sizes[:, 1:][sizes[:, 1:] > 0].min() > 50


def test_frames_of_a_patient_share_their_colour(flat: Pairs) -> None:
    colours = _colours(flat)
    assert colours.mean(1).var(0).min() > 10 * colours.var(1).mean(0).max()


def test_lesions_are_darker_in_some_patients_and_brighter_in_others(flat: Pairs) -> None:
    signs: dict[str, set[bool]] = {}
    for record, case in flat:
        if (case.mask > 0).any():
            inside = case.image[:, case.mask > 0].mean()
            outside = case.image[:, case.mask == 0].mean()
            signs.setdefault(record.group, set()).add(bool(inside > outside))
    brighter = [True in values for values in signs.values() if len(values) == 1]
    assert len(brighter) > 0.8 * len(signs)
    assert 0.3 < np.mean(brighter) < 0.7


def test_patients_have_mainly_one_kind_of_lesion(flat: Pairs) -> None:
    grainy: dict[str, list[bool]] = {}
    for record, case in flat:
        grainy.setdefault(record.group, []).extend(
            kind == 2 for kind in (1, 2) if (case.mask == kind).any()
        )
    shares = np.array([np.mean(kinds) for kinds in grainy.values()])
    assert 0.4 < shares.mean() < 0.6
    assert np.mean(np.abs(shares - 0.5) >= 0.2) > 0.5


def test_grain_tells_the_classes_apart(flat: Pairs) -> None:
    """The step between neighbouring pixels is several times larger inside a grainy lesion."""
    steps = {kind: [] for kind in (1, 2)}
    for _, case in flat:
        change = np.abs(np.diff(case.image.astype(float).mean(0), axis=1))
        for kind, changes in steps.items():
            inside = (case.mask[:, 1:] == kind) & (case.mask[:, :-1] == kind)
            changes.extend(change[inside])
    assert np.mean(steps[2]) > 3 * np.mean(steps[1])


def test_volumes_have_spacing_and_differ_in_shape(volumes: Pairs) -> None:
    shapes = [case.mask.shape for _, case in volumes]
    splits = [record.split for record, _ in volumes]
    assert (splits.count("train"), splits.count("test")) == (12, 6)
    assert len(set(shapes)) > 1
    assert np.abs(np.array(shapes) - (48, 48, 32)).max() <= 4
    for _, case in volumes:
        assert case.image.dtype == np.float32
        assert case.image.shape == (1, *case.mask.shape)
        assert case.spacing == (1.0, 1.0, 2.0)
        assert case.mask.any()
        assert case.mask.max() <= 2
    assert {int(value) for _, case in volumes for value in np.unique(case.mask)} == {0, 1, 2}
