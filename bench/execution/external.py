"""Predictions made elsewhere as a cell: label maps of all test cases, copied without training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import store
from bench.cell_folder import CellFolder, CellResult
from bench.data.index import CaseEntry
from bench.names import file_name

ENDINGS = (".npz", ".npy", ".png", ".tif", ".tiff", ".bmp", ".nii.gz", ".nii")


def take_over(
    folder: CellFolder, predictions: Path, entries: Sequence[CaseEntry], classes: int
) -> None:
    """Copy label maps into the folder of a cell; missing and unusable ones count as worst."""
    with store.claim(folder.path) as mine:
        if not mine:
            return
        folder.clear()
        target = folder.predictions("last")
        target.mkdir(parents=True)
        problems: list[str] = []
        for entry in entries:
            label_map, problem = _find_label_map(predictions, entry, classes)
            if label_map is None:
                problems.append(f"{entry.id}: {problem}")
            else:
                file = target / f"{file_name(entry.id)}.npz"
                np.savez_compressed(file, label_map=label_map)
        copied = len(entries) - len(problems)
        folder.write_result(CellResult(folder.key, copied, problems=problems))


def _find_label_map(
    predictions: Path, entry: CaseEntry, classes: int
) -> tuple[NDArray[np.uint8] | None, str | None]:
    """The label map of a case, or why there is none."""
    candidates = [predictions / f"{entry.id}{ending}" for ending in ENDINGS]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        return None, "no file"
    try:
        values = read_label_map(file)
    except Exception as problem:  # whatever a decoder raises: the file is not usable
        return None, f"{file.name} cannot be read ({type(problem).__name__})"
    if values.shape != entry.shape:
        return None, f"{file.name} has size {values.shape}, expected {entry.shape}"
    in_range = values.min() >= 0 and values.max() < classes
    if not in_range or not np.array_equal(values, values.astype(np.uint8)):
        return None, f"{file.name} holds values other than 0 to {classes - 1}"
    return values.astype(np.uint8), None


def read_label_map(file: Path) -> NDArray[Any]:
    """Class numbers (*S) of a file; those of NIfTI are transposed to (Z Y X), as in data sets."""
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
