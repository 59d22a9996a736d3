"""Applies the model of a finished cell to new images: masks as pictures, of volumes as NIfTI."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.api import Spec
from bench.data import cache, geometry
from bench.errors import BenchError
from bench.store import Store, refuse_links

if TYPE_CHECKING:
    from bench.worker.predictors import ClassPredictor, Predictor

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".npy")
VOLUMES = (".nii", ".nii.gz")
# Class colours of a written mask (R G B each); its pixel values are the class numbers.
COLOURS = (
    (0, 0, 0),
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)

# Reads a file: a picture (C H W) and None, or a volume (1 X Y Z) as stored and its affine (4 4).
ImageReader = Callable[[Path], tuple[NDArray[Any], NDArray[np.float64] | None]]


def predict(
    store: Store, key: str, images: Path, target: Path, device: str, read_image: ImageReader
) -> int:
    """Write a mask for every image in a folder, or labels.csv if the model classifies.

    Returns the number of images. Raises BenchError for a key or images that cannot be used.
    """
    from bench.worker.model import load_model
    from bench.worker.predictors import ClassPredictor

    refuse_links(store.out)
    folder = store.cell(_full_key(store, key))
    files = _images(images)
    target.mkdir(parents=True, exist_ok=True)
    predictor = load_model(folder, device, store.plugins)
    card = folder.expect_job().card
    assert card is not None  # every cell that has a model has one
    if isinstance(predictor, ClassPredictor):
        _write_labels(files, target, predictor, card.labels, read_image)
        return len(files)
    for file in files:
        if _is_volume(file):
            _write_volume(file, target, predictor, card.slice_axis, read_image)
        else:
            _write_mask(file, target, predictor, read_image)
    return len(files)


def _full_key(store: Store, key: str) -> str:
    """The key that begins with `key`. Raises BenchError if there is none, or more than one."""
    keys = [name for name in store.cell_keys() if name.startswith(key)]
    if len(keys) != 1:
        raise BenchError(
            f"cell {key} given; {len(keys)} cells of {store.out} begin like this; "
            "see 'status' or the page"
        )
    return keys[0]


def _images(folder: Path) -> list[Path]:
    """The images in a folder. Raises BenchError if there are none, or if two have one name."""
    if not folder.is_dir():
        raise BenchError(f"images {folder} given; expected a folder of images")
    known = PICTURES + VOLUMES
    files = sorted(file for file in folder.iterdir() if file.name.lower().endswith(known))
    if not files:
        raise BenchError(f"images {folder} given; it holds none; expected {', '.join(known)}")
    stems = [file.name.split(".")[0] for file in files]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise BenchError(
            f"images {folder} given; two are named {twice!r} and would share a mask; rename one"
        )
    return files


def _is_volume(file: Path) -> bool:
    return file.name.lower().endswith(VOLUMES)


def _read_picture(
    file: Path, spec: Spec, read_image: ImageReader
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """A picture (C H W) as it is, and on the training grid."""
    image, _ = read_image(file)
    if image.shape[0] != spec.channels:
        raise BenchError(
            f"{file} has {image.shape[0]} channels; the model was trained on {spec.channels}; "
            "convert it"
        )
    return image, cache.unit_range(geometry.image_to_grid(geometry.to_unit(image), spec.size))


def _write_mask(file: Path, target: Path, predictor: Predictor, read_image: ImageReader) -> None:
    if predictor.spec.ndim == 3:
        raise BenchError(
            f"{file} given; the model was trained on volumes; expected {' or '.join(VOLUMES)}"
        )
    image, grid = _read_picture(file, predictor.spec, read_image)
    label_map = predictor.label_map(predictor.probabilities(grid[None]), image.shape[1:], None)
    _write_picture(label_map, target / f"{file.stem}.png")


def _write_labels(
    files: Sequence[Path],
    target: Path,
    predictor: ClassPredictor,
    labels: Sequence[str],
    read_image: ImageReader,
) -> None:
    """Write labels.csv: each image with its label and the probability of every label."""
    with (target / "labels.csv").open("w", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["image", "label", *labels])
        for file in files:
            if _is_volume(file):
                raise BenchError(
                    f"{file} given; the model was trained on images; "
                    f"expected {' or '.join(PICTURES)}"
                )
            _, grid = _read_picture(file, predictor.spec, read_image)
            probabilities = predictor.probabilities(grid[None])[0].tolist()
            predicted = labels[probabilities.index(max(probabilities))]
            columns = [f"{probability:.6f}" for probability in probabilities]
            writer.writerow([file.name, predicted, *columns])


def _write_picture(label_map: NDArray[np.uint8], file: Path) -> None:
    from PIL import Image

    picture = Image.fromarray(label_map).convert("P")
    picture.putpalette([part for colour in COLOURS for part in colour])
    picture.save(file)


def _write_volume(
    file: Path, target: Path, predictor: Predictor, slice_axis: int, read_image: ImageReader
) -> None:
    """Write the mask of a one-channel NIfTI volume, with the affine of the image."""
    import nibabel

    if predictor.spec.channels != 1:
        raise BenchError(
            f"{file} given; the model was trained on images of {predictor.spec.channels} "
            "channels; give such images"
        )
    stored, affine = read_image(file)
    # Data sets with slices along axis 0 are read as (Z Y X), others as (X Y Z) like the file.
    transposed = slice_axis == 0
    volume = stored[0].T if transposed else stored[0]
    label_map = _volume_labels(volume[None].astype(np.float32), predictor, slice_axis)
    if transposed:
        label_map = label_map.T
    picture = nibabel.Nifti1Image(label_map, affine)  # type: ignore[no-untyped-call]
    nibabel.save(picture, target / file.name)


def _volume_labels(
    volume: NDArray[np.float32], predictor: Predictor, slice_axis: int
) -> NDArray[np.uint8]:
    """The label map (*S) of a volume (1 *S), predicted slice by slice or in windows."""
    shape = volume.shape[1:]
    if predictor.spec.ndim == 3:
        shrink = tuple(predictor.settings["shrink"])
        shrunk = geometry.shrink_image(geometry.zscore(volume), shrink)
        return predictor.label_map(predictor.probabilities(shrunk[None]), shape, None)
    slices = []
    for part in geometry.image_slices(volume, slice_axis):
        slices.append(cache.unit_range(geometry.image_to_grid(part, predictor.spec.size)))
    return predictor.label_map(predictor.probabilities(np.stack(slices)), shape, slice_axis)
