"""Predictions from elsewhere as a cell: one label map per test case, taken over without a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import store

ENDINGS = (".npz", ".npy", ".png", ".tif", ".tiff", ".bmp", ".nii.gz", ".nii")


def take_over(
    folder: Path, predictions: Path, cases: Sequence[Mapping[str, Any]], classes: int
) -> None:
    """Copy label maps into a cell's folder; what is missing or does not fit is named and scored as worst."""
    with store.claim(folder) as mine:
        if not mine:
            return
        store.clear(folder)
        (folder / "predictions").mkdir()
        problems = []
        for case in cases:
            label_map, problem = _label_map(predictions, case, classes)
            if label_map is None:
                problems.append(f"{case['id']}: {problem}")
            else:
                np.savez_compressed(
                    folder / "predictions" / f"{store.file_name(case['id'])}.npz",
                    label_map=label_map,
                )
        store.write_json(
            folder / "result.json",
            {"key": folder.name, "predictions": len(cases) - len(problems), "problems": problems, "cost": {},
             "environment": {}},
        )  # fmt: skip


def _label_map(
    predictions: Path, case: Mapping[str, Any], classes: int
) -> tuple[NDArray[np.uint8] | None, str | None]:
    files = [predictions / f"{case['id']}{ending}" for ending in ENDINGS]
    found = [file for file in files if file.is_file()]
    if not found:
        return None, "no file"
    try:
        values = read_label_map(found[0])
    except (
        Exception
    ) as problem:  # whatever a decoder raises: the file is not usable, and its case says so
        return None, f"{found[0].name} cannot be read ({type(problem).__name__})"
    expected = tuple(case["shape"])
    if values.shape != expected:
        return None, f"{found[0].name} has size {values.shape}, expected {expected}"
    if (
        values.min() < 0
        or values.max() >= classes
        or not np.array_equal(values, values.astype(np.uint8))
    ):
        return None, f"{found[0].name} holds values other than 0 to {classes - 1}"
    return values.astype(np.uint8), None


def read_label_map(file: Path) -> NDArray[Any]:
    """Class numbers (*S) of a file; NIfTI is turned to (Z Y X), as datasets read it."""
    if file.suffix == ".npz":
        with np.load(file) as content:
            return np.asarray(content["label_map"])
    if file.suffix == ".npy":
        return np.asarray(np.load(file))
    if file.name.endswith((".nii", ".nii.gz")):
        import nibabel

        volume: Any = nibabel.load(file)
        return np.ascontiguousarray(np.asanyarray(volume.dataobj).T)
    from PIL import Image

    with Image.open(file) as picture:
        return np.asarray(picture)
