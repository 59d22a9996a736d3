"""Writes the test predictions of finished cells as PNG or NIfTI, on the grid of the user's images.

The harness keeps label maps as .npz with the axes that it works in: slices first, turned to one
orientation. Here they get the axes and the affine of the files that they are of.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import registry
from bench.api import Card
from bench.cell_folder import CellFolder
from bench.data.index import CaseEntry, read_index
from bench.errors import BenchError
from bench.execution.prediction.chosen_models import AskedModels, chosen_keys
from bench.execution.prediction.files import MARK, replacing, write_picture
from bench.names import file_name
from bench.store import Store, refuse_links


def export_predictions(store: Store, asked: AskedModels, target: Path | None) -> list[Path]:
    """Write the label map of every test case of the cells that are asked for.

    Returns the folders, one for each cell; with a target, a single one lies there itself. Raises
    BenchError where there is nothing to write, or where a file of someone else is in the way.
    """
    refuse_links(store.out)
    keys = chosen_keys(store, asked)
    folders = []
    for key in keys:
        folder = target or store.out / "export"
        if target is None or len(keys) > 1:
            folder /= key
        _export_cell(store.cell(key), folder)
        folders.append(folder)
    return folders


def _export_cell(cell: CellFolder, target: Path) -> None:
    job = cell.expect_job()
    if job.cell.task != "segmentation":
        raise BenchError(
            f"cell {cell.key} given; it classifies, and its scores.csv holds every prediction; "
            "give one that segments"
        )
    index = read_index((cell.path / job.cache).resolve())
    predictions = cell.predictions("last")
    for entry in index.test:
        name = file_name(entry.id)
        file = cell.work.check(predictions / f"{name}.npz")
        with np.load(file, allow_pickle=False) as content:
            label_map: NDArray[np.uint8] = content["label_map"]
        if entry.affine is None and label_map.ndim == 2:
            write_picture(label_map, target / f"{name}.png")
        else:
            _write_nifti(label_map, entry, index.card, target / f"{name}.nii.gz")


def _write_nifti(label_map: NDArray[np.uint8], entry: CaseEntry, card: Card, file: Path) -> None:
    """Write a label map (*S) with the axes that its image is stored in."""
    import nibabel

    affine = None
    if entry.affine is not None:
        affine = np.array(entry.affine, np.float64)
    image = nifti_image(label_map, affine, entry.spacing, card)
    image.header["descrip"] = MARK
    with replacing(file) as part:
        nibabel.save(image, part)


def nifti_image(
    array: NDArray[Any],
    affine: NDArray[np.float64] | None,
    spacing: tuple[float, ...] | None,
    card: Card,
) -> Any:
    """An array (*S) as NIfTI, with the axes that an image with this affine is stored in.

    An image without an affine, such as one of an HDF5 file, gets its spacing alone.
    """
    import nibabel

    if affine is not None:
        grid: Any = registry.image_files().grid_of_case(array.shape, affine)
        return nibabel.Nifti1Image(grid.to_stored(array), affine)  # type: ignore[no-untyped-call]
    is_transposed = card.slice_axis == 0
    voxels = array.T if is_transposed else array
    steps = spacing or (1.0,) * array.ndim
    if is_transposed:
        steps = steps[::-1]
    return nibabel.Nifti1Image(voxels, np.diag([*steps, 1.0]))  # type: ignore[no-untyped-call]
