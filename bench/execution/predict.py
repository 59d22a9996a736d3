"""A finished cell's model on new images: masks as pictures, volumes as NIfTI."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.api import Spec
from bench.data import cache, geometry
from bench.errors import BenchError
from bench.store import Store, read_json

if TYPE_CHECKING:
    from bench.worker.class_predictor import ClassPredictor
    from bench.worker.predictors import Predictor

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".npy")
VOLUMES = (".nii", ".nii.gz")
# Class colours of a written mask; its pixel values are the class numbers.
PALETTE = (
    0,
    0,
    0,
    86,
    180,
    233,
    230,
    159,
    0,
    0,
    158,
    115,
    240,
    228,
    66,
    213,
    94,
    0,
    204,
    121,
    167,
    0,
    114,
    178,
)


def predict(store: Store, key: str, images: Path, target: Path, device: str) -> int:
    """Write a mask for every image in a folder, of a classifier one labels.csv; returns the number of images.

    Raises BenchError on what cannot be used.
    """
    from bench.worker.class_predictor import ClassPredictor

    folder = store.cell(_full_key(store, key))
    files = _images(images)
    target.mkdir(parents=True, exist_ok=True)
    predictor, slice_axis = load_model(folder, device)
    if isinstance(predictor, ClassPredictor):
        _write_labels(files, target, predictor, read_json(folder / "cell.json")["card"]["labels"])
        return len(files)
    for file in files:
        _write(file, target, predictor, slice_axis)
    return len(files)


def _full_key(store: Store, key: str) -> str:
    found = [name for name in store.found() if name.startswith(key)]
    if len(found) != 1:
        raise BenchError(
            f"cell {key} given; {len(found)} cells of {store.out} begin so; see 'status' or the page"
        )
    return found[0]


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise BenchError(f"images {folder} given; expected a folder of images")
    files = sorted(
        file for file in folder.iterdir() if file.name.lower().endswith(PICTURES + VOLUMES)
    )
    if not files:
        raise BenchError(
            f"images {folder} given; it holds none; expected {', '.join(PICTURES + VOLUMES)}"
        )
    stems = [file.name.split(".")[0] for file in files]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise BenchError(
            f"images {folder} given; two are named {twice!r} and would share a mask; rename one"
        )
    return files


def load_model(folder: Path, device: str) -> tuple[Predictor | ClassPredictor, int]:
    """The saved model of a cell, ready to predict, and the axis along which its volumes have their slices."""
    if not (folder / "model.safetensors").exists():
        raise BenchError(f"cell {folder.name} has no model; run it with 'keep_models: true'")
    from safetensors.torch import load_file

    from bench import registry
    from bench.worker.main import CellRun, choose_device, predictor_of

    job: dict[str, Any] = read_json(folder / "cell.json")
    cell = job["cell"]
    spec = cache.spec_of(job, cell["task"])
    run = CellRun(job, folder, spec, choose_device(device))
    method: Any = registry.method(cell["method"], [Path(file) for file in job["plugins"]]).build(
        cell["config"], spec
    )
    method.load(load_file(folder / "model.safetensors"), run)
    return predictor_of(method, spec, cell["layout"], run.device), job["card"]["slice_axis"]


def _write(file: Path, target: Path, predictor: Predictor, slice_axis: int) -> None:
    spec = predictor.spec
    if file.name.lower().endswith(VOLUMES):
        if spec.channels != 1:
            raise BenchError(
                f"{file} given; the model was trained on images of {spec.channels} channels; give such images"
            )
        _write_volume(file, target, predictor, slice_axis)
        return
    if spec.ndim == 3:
        raise BenchError(
            f"{file} given; the model was trained on volumes; expected {' or '.join(VOLUMES)}"
        )
    image, grid = _read(file, spec)
    label_map = predictor.label_map(predictor.probabilities(grid[None]), image.shape[1:], None)
    _write_picture(label_map, target / f"{file.stem}.png")


def _read(file: Path, spec: Spec) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """A picture (C H W), and the same on the training grid."""
    image = importlib.import_module("datasets.reading").read_image(file)
    if image.shape[0] != spec.channels:
        raise BenchError(
            f"{file} has {image.shape[0]} channels; the model was trained on {spec.channels}; convert it"
        )
    return image, cache.unit_range(geometry.image_to_grid(geometry.to_unit(image), spec.size))


def _write_labels(
    files: Sequence[Path], target: Path, predictor: ClassPredictor, labels: Sequence[str]
) -> None:
    """labels.csv: each image with its label and the probability of every label."""
    with (target / "labels.csv").open("w", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["image", "label", *labels])
        for file in files:
            if file.name.lower().endswith(VOLUMES):
                raise BenchError(
                    f"{file} given; the model was trained on images; expected {' or '.join(PICTURES)}"
                )
            found = predictor.probabilities(_read(file, predictor.spec)[1][None])[0].tolist()
            writer.writerow(
                [file.name, labels[found.index(max(found))], *(f"{value:.6f}" for value in found)]
            )


def _write_picture(label_map: NDArray[np.uint8], file: Path) -> None:
    from PIL import Image

    picture = Image.fromarray(label_map).convert("P")
    picture.putpalette(PALETTE)
    picture.save(file)


def _write_volume(file: Path, target: Path, predictor: Predictor, slice_axis: int) -> None:
    """A one-channel NIfTI volume, slice by slice or in windows; the mask has the affine of its image."""
    import nibabel

    try:
        source: Any = nibabel.load(file)
        values = np.asanyarray(source.dataobj)
    except Exception as problem:  # whatever the decoder meets
        raise BenchError(
            f"{file} cannot be read ({type(problem).__name__}); mend or remove it"
        ) from None
    if values.ndim != 3:
        raise BenchError(f"{file} has {values.ndim} dimensions; expected 3; split it into volumes")
    turned = (
        slice_axis == 0
    )  # Z Y X, as the loaders of NIfTI data have it; else X Y Z, as the file has it
    volume = (values.T if turned else values)[None].astype(np.float32)
    label_map = _volume_labels(volume, predictor, slice_axis)
    picture = nibabel.Nifti1Image(label_map.T if turned else label_map, source.affine)  # type: ignore[no-untyped-call]
    nibabel.save(picture, target / file.name)


def _volume_labels(
    volume: NDArray[np.float32], predictor: Predictor, slice_axis: int
) -> NDArray[np.uint8]:
    """Label map (*S) of a volume (1 *S)."""
    if predictor.spec.ndim == 3:
        grid = geometry.shrink_image(geometry.zscore(volume), tuple(predictor.layout["shrink"]))[
            None
        ]
        return predictor.label_map(predictor.probabilities(grid), volume.shape[1:], None)
    slices = geometry.image_slices(volume, slice_axis)
    grid = np.stack(
        [cache.unit_range(geometry.image_to_grid(part, predictor.spec.size)) for part in slices]
    )
    return predictor.label_map(predictor.probabilities(grid), volume.shape[1:], slice_axis)
