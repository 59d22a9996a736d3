"""The drawn datasets: counts, determinism, and in which degree they hold what their card says."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from bench.api import RawCase, Record
from datasets.phantoms import DATASETS, TRUTHS, frames, open_phantoms, patients
from datasets.phantoms.frames import GRAINY, SMOOTH
from datasets.phantoms.patients import Family

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


def test_normal_frames_show_the_same_tissue(flat: Pairs) -> None:
    """Outside lesions a patient's frames with and without one have nearly the same colour."""
    colours = _colours(flat)
    is_normal = np.array([not case.mask.any() for _, case in flat]).reshape(-1, 6)
    for of_patient, normal in zip(colours, is_normal, strict=True):
        with_lesion, without = of_patient[~normal].mean(0), of_patient[normal].mean(0)
        assert with_lesion == pytest.approx(without, abs=10)  # of 255


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
    """The step between neighbouring pixels is about twice as large inside a grainy lesion."""
    steps = {kind: [] for kind in (1, 2)}
    for _, case in flat:
        change = np.abs(np.diff(case.image.astype(float).mean(0), axis=1))
        for kind, changes in steps.items():
            inside = (case.mask[:, 1:] == kind) & (case.mask[:, :-1] == kind)
            changes.extend(change[inside])
    assert np.mean(steps[2]) > 2 * np.mean(steps[1])


def test_smooth_lesions_are_bright_and_grainy_ones_dark(flat: Pairs) -> None:
    """Of every patient: against the tissue of the same frame, whatever its gain and offset."""
    signs = {SMOOTH: 1, GRAINY: -1}
    for _, case in flat:
        brightness = case.image.astype(float).mean(0)
        tissue = np.median(brightness[case.mask == 0])
        for kind, sign in signs.items():
            inside = case.mask == kind
            if inside.any():
                assert sign * (brightness[inside].mean() - tissue) > 0


# --- what the drawing makes true


def _family(**truths: float) -> Family:
    """The 2D phantoms with other truths."""
    family = open_phantoms("phantoms", None).family
    return replace(family, truths=replace(TRUTHS, **truths))


@pytest.mark.parametrize("recurrence", [0.0, 0.5, TRUTHS.recurrence, 1.0])
def test_anatomy_recurs_as_far_as_stated(recurrence: float) -> None:
    """Outlines correlate between patients by `recurrence`, in the mean of all pairs and parts."""
    family = _family(recurrence=recurrence)
    correlations = []
    for plan in (patients.BODY, patients.ORGAN, patients.LANDMARK):
        outlines = []
        for patient in range(8):
            part = patients._draw_part(family, patient, family.shape, plan)
            outlines.append(part.outline.ravel())
        for one, other in combinations(outlines, 2):
            correlations.append(np.corrcoef(one, other)[0, 1])
    assert np.mean(correlations) == pytest.approx(recurrence, abs=0.1)


def test_patients_of_one_anatomy_have_their_organ_in_one_place() -> None:
    def spread(recurrence: float) -> float:
        """The mean over eight anatomies, of which some lie where places are cut off."""
        family = _family(recurrence=recurrence)
        spreads = []
        for number in range(8):
            named = replace(family, card=replace(family.card, id=f"anatomy {number}"))
            organs = []
            for patient in range(30):
                part = patients._draw_part(named, patient, family.shape, patients.ORGAN)
                organs.append(part.middle)
            spreads.append(np.std(organs, axis=0).mean())
        return float(np.mean(spreads))

    assert spread(1.0) == pytest.approx(0)
    # the standard deviation that is left is sqrt(1 - recurrence) of the whole one
    assert spread(0.75) / spread(0.0) == pytest.approx(0.5, abs=0.1)


def test_looks_vary_by_patient_as_far_as_stated() -> None:
    """Log gains are uniform within `looks` times a half; without looks all patients are alike."""
    for looks in (0.0, TRUTHS.looks, 1.0):
        family = _family(looks=looks)
        drawn = [patients._draw_look(family, patient) for patient in range(200)]
        gains = np.log([look.gain.mean() for look in drawn])
        # a uniform range of +-0.5, and the mean of three colours of +-0.15
        expected = looks * np.sqrt(1 / 12 + 0.3**2 / 12 / 3)
        assert gains.std() == pytest.approx(expected, rel=0.15)
        assert np.ptp([look.offset for look in drawn]) <= 0.22 * looks + 1e-12


def test_a_boundary_is_as_smooth_as_stated() -> None:
    blur = 1.7
    cover = frames._cover(np.array([-blur, 0, blur]), blur)
    assert cover == pytest.approx([1 / (1 + np.e**2), 0.5, 1 / (1 + np.e**-2)])


@pytest.mark.parametrize("place", [0.0, 1.0])
def test_lesions_lie_where_their_kind_does(place: float) -> None:
    """At 1 smooth lesions have their middle well inside the organ, grainy ones near its border."""
    family = _family(place=place)
    for number in range(12):
        patient = patients.draw_patient(family, number)
        rng = np.random.default_rng(number)
        for kind, lesion in frames._draw_lesions(rng, patient, place, np.zeros(2)):
            way = (lesion.middle - patient.organ.middle) / patient.organ.radii
            lies_inside = np.linalg.norm(way) < 0.7
            expected = SMOOTH if place == 1 else GRAINY
            assert lies_inside == (kind == expected)


def test_the_card_says_what_holds() -> None:
    source = DATASETS["phantoms"]("phantoms", None).card.source
    assert f"correlate by {TRUTHS.recurrence:g}" in source
    assert f"{TRUTHS.looks:g} of the widest range" in source
    assert f"blurred over {TRUTHS.blur:g} pixels" in source
    assert f"{TRUTHS.place:.0%} of the lesions" in source
    assert "without a lesion" in source
    assert "without a lesion" not in DATASETS["phantoms3d"]("phantoms3d", None).card.source


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
