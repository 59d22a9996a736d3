"""Predictions of NIfTI volumes, stored in any orientation, are scored where their image lies."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from bench import stages
from bench.board.build import build
from bench.planning.suite import Suite
from bench.stages import RunOptions
from bench.store import Store
from tests.support.tiny_bench import PLUGINS, TOY

NAME = "Dataset001_Boxes"
CASES = [f"box_{number}" for number in range(6)]
AFFINE = np.array([[-1, 0, 0, 9], [0, -1, 0, 4], [0, 0, 3, 7], [0, 0, 0, 1]], np.float64)  # LPS


def turned(image: nibabel.Nifti1Image, codes: str) -> nibabel.Nifti1Image:
    return image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt(codes)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Volumes of two orientations, each with a box off the middle; their labels in a third one."""
    root = tmp_path / NAME
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    facts = {
        "channel_names": {"0": "T1"},
        "labels": {"background": 0, "box": 1},
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(facts))
    for number, case in enumerate(CASES):
        voxels = np.zeros((20, 16, 6), np.float32)
        voxels[2 : 8 + number, 3:9, 1:3] = 1
        image = nibabel.Nifti1Image(voxels, AFFINE)
        label = nibabel.Nifti1Image(voxels.astype(np.uint8), AFFINE)
        nibabel.save(
            turned(image, ("LPS", "SRA")[number % 2]), root / f"imagesTr/{case}_0000.nii.gz"
        )
        nibabel.save(turned(label, "PIR"), root / f"labelsTr/{case}.nii.gz")
    return tmp_path


def dice_by_method(data: Path, predictions: Path) -> dict[str, tuple[float | None, str]]:
    entry = {"method": "external", "variant": "theirs", "predictions": predictions, "budget": 1.0}
    changes = {
        "datasets": [f"nnunet:{NAME}"],
        "fractions": [1.0],
        "subsets": 1,
        "methods": ["threshold", entry],
    }
    suite = Suite(**{**TOY, **changes})  # type: ignore[arg-type]
    store = Store(data / "runs" / "toy")
    bench = stages.plan_bench(suite, data, store, RunOptions(plugins=PLUGINS))
    assert stages.run(bench, lambda progress: None).failed == 0
    rows = [row for row in build(store).rows if row.metric == "dice"]
    return {row.method: (row.mean, row.reason or "") for row in rows}


def test_predictions_in_any_orientation_score_one(data: Path) -> None:
    predictions = data / "theirs"
    predictions.mkdir()
    for number, case in enumerate(CASES):
        label = nibabel.load(data / NAME / f"labelsTr/{case}.nii.gz")
        codes = ("RAS", "SRA", "LPS")[number % 3]
        nibabel.save(turned(label, codes), predictions / f"{case}.nii.gz")
    dice = dice_by_method(data, predictions)
    assert dice["external"] == (1.0, "")
    # Image and label agree; the rest is lost on the grid of 16 x 16.
    assert dice["threshold"][0] == pytest.approx(0.91, abs=0.02)


def test_predictions_that_lie_elsewhere_are_named(data: Path) -> None:
    predictions = data / "theirs"
    predictions.mkdir()
    for case in CASES:
        label = nibabel.load(data / NAME / f"labelsTr/{case}.nii.gz")
        pixels = np.asarray(nibabel.as_closest_canonical(label).dataobj)
        nibabel.save(nibabel.Nifti1Image(pixels, np.eye(4)), predictions / f"{case}.nii.gz")
    mean, reason = dice_by_method(data, predictions)["external"]
    assert mean == 0
    assert "as the image of this case has" in reason
