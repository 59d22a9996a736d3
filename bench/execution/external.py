"""Predictions made elsewhere as a cell: label maps of all test cases, copied without training."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.api import OTHER_IMAGES
from bench.cell_folder import CellFolder
from bench.cell_records import CellResult
from bench.data.index import CaseEntry, Index
from bench.errors import BenchError
from bench.execution import attempts
from bench.names import file_name

# Arrays of probabilities often lie beside label maps, as nnU-Net writes them: .npz comes last.
ENDINGS = (".nii.gz", ".nii", ".png", ".tif", ".tiff", ".bmp", ".gif", ".npy", ".npz")
LOSSY = (".jpg", ".jpeg")


class LabelReader(Protocol):
    """Reads a label map of a case, by the rules that hold for the masks of data sets."""

    def __call__(
        self,
        path: Path,
        shape: Sequence[int],
        affine: Sequence[Sequence[float]] | None,
        transposed: bool,
        classes: int,
    ) -> NDArray[Any]:
        """Class numbers (*S) for a case of a shape (*S). Raises BenchError naming the file.

        `affine` (4 4) is that of the case's NIfTI image. Without one, volumes are taken as stored,
        `transposed` to (Z Y X) if cases are. Of two classes, white counts as 1.
        """
        ...


def take_over(folder: CellFolder, predictions: Path, index: Index, read: LabelReader) -> None:
    """Copy label maps into the folder of a cell; missing and unusable ones count as worst."""

    def copy(attempt: Path) -> None:
        _copy(CellFolder(attempt), predictions, index, read)

    attempts.run(folder, copy)


def _copy(folder: CellFolder, predictions: Path, index: Index, read: LabelReader) -> None:
    target = folder.predictions("last")
    target.mkdir(parents=True)
    files = _files_by_case(predictions)
    problems: list[str] = []
    for entry in index.test:
        candidates = files.get(_normal(entry.id), [])
        label_map, problem = _find_label_map(candidates, entry, index, read)
        if label_map is None:
            problems.append(f"{entry.id}: {problem}")
        else:
            file = target / f"{file_name(entry.id)}.npz"
            np.savez_compressed(file, label_map=label_map)
    copied = len(index.test) - len(problems)
    folder.write_result(CellResult(folder.key, copied, problems=problems))


def _normal(name: str) -> str:
    """A name in the one form of Unicode in which names are compared."""
    return unicodedata.normalize("NFC", name)


def _files_by_case(predictions: Path) -> dict[str, list[Path]]:
    """The files of a folder by the name of the case; endings may be in upper case.

    Files that cannot be read are among them, so that they are named.
    """
    files: dict[str, list[Path]] = {}
    for file in sorted(predictions.iterdir()):
        ending = _ending_of(file, (*ENDINGS, *LOSSY, *OTHER_IMAGES))
        if ending is not None:
            case = _normal(file.name[: -len(ending)])
            files.setdefault(case, []).append(file)
    return files


def _ending_of(file: Path, endings: Sequence[str]) -> str | None:
    """The longest of some endings that a file name has, in any case."""
    lower = file.name.lower()
    return max((ending for ending in endings if lower.endswith(ending)), key=len, default=None)


def _find_label_map(
    candidates: Sequence[Path], entry: CaseEntry, index: Index, read: LabelReader
) -> tuple[NDArray[np.uint8] | None, str | None]:
    """The label map of a case, or why there is none."""
    readable = [file for file in candidates if _ending_of(file, ENDINGS)]
    label_maps = [file for file in readable if file.suffix.lower() != ".npz"] or readable
    if not label_maps and candidates:
        expected = ", ".join(ENDINGS)
        return None, f"{candidates[0].name} is no file that can be read, expected {expected}"
    if not label_maps:
        return None, "no file"
    if len(label_maps) > 1:
        names = " and ".join(file.name for file in label_maps)
        return None, f"{names} are both there, expected one file for each case"
    [file] = label_maps
    transposed = len(entry.shape) == 3 and index.card.slice_axis == 0
    try:
        values = read(file, entry.shape, entry.affine, transposed, index.spec.classes)
    except BenchError as problem:
        return None, str(problem).removeprefix(f"{file.parent}/")
    except Exception as problem:  # whatever a decoder raises: the file is not usable
        return None, f"{file.name} cannot be read ({type(problem).__name__})"
    return _checked(values, file.name, entry, index.spec.classes)


def _checked(
    values: NDArray[Any], name: str, entry: CaseEntry, classes: int
) -> tuple[NDArray[np.uint8] | None, str | None]:
    """The values as a label map, or why they are none."""
    if values.dtype.kind not in "buif":
        return None, f"{name} holds values of type {values.dtype}, expected whole numbers"
    if values.shape != entry.shape:
        return None, f"{name} has size {values.shape}, expected {entry.shape}"
    in_range = values.min() >= 0 and values.max() < classes  # not so where a value is NaN
    if not in_range or not np.array_equal(values, values.astype(np.uint8)):
        return None, f"{name} holds values other than 0 to {classes - 1}"
    return values.astype(np.uint8), None
