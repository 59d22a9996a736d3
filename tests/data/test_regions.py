"""Regions that overlap: found in masks, painted into label maps, scored, never confused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.api import Region, Spec
from bench.data.geometry import to_native
from bench.data.regions import check_regions, label_maps, pixels_of, united
from bench.errors import DataProblem
from bench.metrics.calibration import METRICS as CALIBRATION
from bench.scoring.score_cell import read_label_map, read_target_probabilities, score_case
from bench.worker import held_out
from bench.worker.predictors import Predictor
from tests.support.entries import CARD, entry

# Those of BraTS: core 1, oedema 2, enhancing 3.
WHOLE = Region("whole tumour", (1, 2, 3), 2)
CORE = Region("tumour core", (1, 3), 1)
ENHANCING = Region("enhancing tumour", (3,), 3)
REGIONS = (WHOLE, CORE, ENHANCING)
CLASSES = ("background", "core", "oedema", "enhancing")
GLIOMA = replace(CARD, classes=CLASSES, regions=REGIONS)
SPEC = Spec("segmentation", 2, 1, 4, (2, 3), (0.0, 1.0), True, REGIONS)
SETTINGS = {"largest_component": False, "keep_probabilities": True}


def test_a_region_unites_its_classes() -> None:
    mask = np.array([0, 1, 2, 3], np.uint8)
    assert pixels_of(mask, WHOLE).tolist() == [False, True, True, True]
    assert pixels_of(mask, CORE).tolist() == [False, True, False, True]
    assert pixels_of(mask, ENHANCING).tolist() == [False, False, False, True]


def test_targets_are_the_regions_or_each_foreground_class() -> None:
    assert GLIOMA.targets == REGIONS
    plain = replace(GLIOMA, regions=()).targets
    assert [(target.name, target.classes) for target in plain] == [
        ("core", (1,)),
        ("oedema", (2,)),
        ("enhancing", (3,)),
    ]


@pytest.mark.parametrize(
    ("of_regions", "painted"),
    [
        ((0.0, 0.0, 0.0), 0),
        ((0.5, 0.5, 0.5), 0),  # not above one half
        ((0.6, 0.0, 0.0), 2),
        ((0.6, 0.6, 0.0), 1),
        ((0.6, 0.6, 0.6), 3),
        ((0.0, 0.6, 0.0), 1),  # it is then in the whole tumour too, as label maps have it
        ((0.9, 0.1, 0.6), 3),
    ],
)
def test_later_regions_are_painted_over_earlier_ones(
    of_regions: tuple[float, ...], painted: int
) -> None:
    probabilities = torch.tensor(of_regions).reshape(1, 3, 1, 1)
    assert label_maps(probabilities, REGIONS).item() == painted
    assert to_native(probabilities, (4, 4), regions=REGIONS).tolist() == [[painted] * 4] * 4


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_a_mask_comes_back_from_its_own_regions(values: list[int]) -> None:
    mask = np.array(values, np.uint8)
    present = np.stack([pixels_of(mask, region) for region in REGIONS])
    probabilities = torch.from_numpy(present[None].astype(np.float32))
    assert label_maps(probabilities, REGIONS)[0].tolist() == values


def test_without_regions_the_most_probable_class_is_taken() -> None:
    probabilities = torch.tensor([[0.2, 0.3], [0.5, 0.3], [0.3, 0.4]]).reshape(1, 3, 2, 1)
    assert label_maps(probabilities).ravel().tolist() == [1, 2]


def test_probabilities_of_classes_are_summed() -> None:
    of_classes = np.array([0.1, 0.2, 0.3, 0.4], np.float32)[:, None]
    np.testing.assert_allclose(united(of_classes, REGIONS)[:, 0], [0.9, 0.6, 0.4], rtol=1e-6)


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        ((WHOLE, WHOLE), "each name once"),
        ((Region("r", (1, 4), 1),), r"classes \[1, 4\]; expected some of 1 to 3"),
        ((Region("r", (), 1),), r"classes \[\]; expected some of 1 to 3"),
        ((Region("r", (1, 2), 3),), r"painted as class 3; expected one of its classes \[1, 2\]"),
        ((CORE, WHOLE, ENHANCING), "list the larger ones first"),
        ((replace(WHOLE, paint=1), CORE, ENHANCING), "'oedema' is in whole tumour; painted .*core"),
    ],
)
def test_regions_that_label_maps_cannot_tell_are_refused(
    regions: tuple[Region, ...], expected: str
) -> None:
    with pytest.raises(DataProblem, match=expected):
        check_regions(replace(GLIOMA, regions=regions))
    check_regions(GLIOMA)
    check_regions(replace(GLIOMA, regions=(CORE,)))  # oedema is in no region: as background


def test_scores_are_of_each_region() -> None:
    """Of 4 tumour pixels 3 are found, one beside them; the core is found as oedema."""
    reference = np.array([[2, 2, 1], [3, 0, 0]], np.uint8)
    prediction = np.array([[2, 0, 2], [3, 2, 0]], np.uint8)
    case = entry("a", "a", shape=(2, 3))
    rows = score_case(case, prediction, reference, REGIONS, 1.0)
    assert [row["class"] for row in rows] == [1, 2, 3]
    assert [row["dice"] for row in rows] == [2 * 3 / (4 + 4), 2 * 1 / (1 + 2), 1.0]
    swapped = np.where(prediction == 2, 1, prediction).astype(np.uint8)
    assert score_case(case, swapped, reference, REGIONS, 1.0)[0]["dice"] == rows[0]["dice"]


class Fixed:
    """Gives the same maps (R H W) for each image."""

    def __init__(self, maps: torch.Tensor) -> None:
        self.maps = maps

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        return self.maps.expand(len(images), *self.maps.shape)


def predictor(maps: torch.Tensor, spec: Spec = SPEC) -> Predictor:
    return Predictor(Fixed(maps), spec, SETTINGS, torch.device("cpu"))


def test_what_is_kept_of_regions_and_of_classes_is_scored_alike(tmp_path: Path) -> None:
    """Rows of sigmoids and of a softmax stand on one board: also their calibration."""
    whole = torch.tensor([[0.9, 0.8, 0.0], [1.0, 0.0, 0.0]])
    core = torch.tensor([[0.2, 0.7, 0.0], [0.5, 0.0, 0.0]])
    enhancing = torch.tensor([[0.1, 0.6, 0.0], [0.0, 0.0, 0.0]])
    of_regions = torch.stack([whole, core, enhancing])
    of_classes = torch.stack([1 - whole, core - enhancing, whole - core, enhancing])
    case = entry("a", "a", shape=(2, 3))
    images = np.zeros((1, 1, 2, 3), np.float32)
    kept = []
    for name, one in (
        ("sigmoid", predictor(of_regions)),
        ("softmax", predictor(of_classes, replace(SPEC, regions=()))),
    ):
        one.write([(case, images)], tmp_path / name)
        probabilities = read_target_probabilities(tmp_path / name, case, GLIOMA)
        assert probabilities is not None
        kept.append(probabilities)
    np.testing.assert_allclose(kept[0], of_regions.numpy(), atol=1e-3)
    np.testing.assert_allclose(kept[1], of_regions.numpy(), atol=1e-3)
    painted = read_label_map(tmp_path / "sigmoid", "a", (2, 3))
    assert painted is not None
    assert painted.tolist() == [[2, 3, 0], [2, 0, 0]]
    rows = score_case(case, painted, painted, REGIONS, 1.0, CALIBRATION, kept[0])
    expected = ((whole - (whole > 0.5) * 1.0) ** 2).mean().item()
    assert rows[0]["brier"] == pytest.approx(expected, abs=1e-3)


def test_values_that_are_no_probabilities_of_regions_are_refused() -> None:
    """They need not sum to one, but each lies between 0 and 1, and there is one for each region."""
    images = np.zeros((1, 1, 2, 3), np.float32)
    predictor(torch.full((3, 2, 3), 0.9)).probabilities(images)
    with pytest.raises(ValueError, match="apply a sigmoid to each region"):
        predictor(torch.full((3, 2, 3), 1.5)).probabilities(images)
    with pytest.raises(ValueError, match=r"expected \(1, 3, 2, 3\) \(B R \*S\)"):
        predictor(torch.full((4, 2, 3), 0.25)).probabilities(images)


def test_trials_of_tuning_are_scored_by_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = np.array([[2, 2, 1], [3, 0, 0]], np.uint8)
    maps = torch.stack([torch.from_numpy(pixels_of(reference, one) * 1.0) for one in REGIONS])
    maps[1:] = 0  # all of the tumour is taken for oedema
    monkeypatch.setattr(held_out, "_images", lambda *_: np.zeros((1, 1, 2, 3), np.float32))
    monkeypatch.setattr(held_out.cache, "open_pack", lambda *_: None)
    monkeypatch.setattr(held_out.cache, "take", lambda *_: reference)
    rows = held_out._mask_rows(predictor(maps.float()), Path(), [entry("a", "a")], GLIOMA)
    assert [row["dice"] for row in rows] == [1.0, 0.0, 0.0]


def test_the_settings_of_a_shared_part_stay_as_they_were_without_regions() -> None:
    spec = Spec("segmentation", 2, 1, 3, (8, 8), (0.0, 1.0), False)
    assert "regions" not in spec.identity
    united = replace(spec, regions=(Region("all", (1, 2), 1),))
    assert united.identity["regions"] == ({"name": "all", "classes": (1, 2), "paint": 1},)
