"""A finished cell's model on new images: masks as pictures, volumes as NIfTI."""

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
from bench.store import Store

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

# A file -> a picture (C H W) and None, or a volume (1 X Y Z) as stored and its affine (4 4).
ImageReader = Callable[[Path], tuple[NDArray[Any], NDArray[np.float64] | None]]


def predict(
    store: Store, key: str, images: Path, target: Path, device: str, read_image: ImageReader
) -> int:
    """Write a mask for every image in a folder, of a classifier one labels.csv.

    Returns the number of images. Raises BenchError on what cannot be used.
    """
    from bench.worker.model import load_model
    from bench.worker.predictors import ClassPredictor

    folder = store.cell(_full_key(store, key))
    files = _images(images)
    target.mkdir(parents=True, exist_ok=True)
    predictor = load_model(folder, device)
    card = folder.expect_job().card
    assert card is not None  # of every cell that has a model
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
    keys = [name for name in store.cell_keys() if name.startswith(key)]
    if len(keys) != 1:
        raise BenchError(
            f"cell {key} given; {len(keys)} cells of {store.out} begin so; see 'status' or the page"
        )
    return keys[0]


def _images(folder: Path) -> list[Path]:
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
    """A picture (C H W), and the same on the training grid."""
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
    """labels.csv: each image with its label and the probability of every label."""
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
            chances = predictor.probabilities(grid[None])[0].tolist()
            likeliest = labels[chances.index(max(chances))]
            writer.writerow([file.name, likeliest, *(f"{chance:.6f}" for chance in chances)])


def _write_picture(label_map: NDArray[np.uint8], file: Path) -> None:
    from PIL import Image

    picture = Image.fromarray(label_map).convert("P")
    picture.putpalette([part for colour in COLOURS for part in colour])
    picture.save(file)


def _write_volume(
    file: Path, target: Path, predictor: Predictor, slice_axis: int, read_image: ImageReader
) -> None:
    """The mask of a one-channel NIfTI volume has the affine of its image."""
    import nibabel

    if predictor.spec.channels != 1:
        raise BenchError(
            f"{file} given; the model was trained on images of {predictor.spec.channels} "
            "channels; give such images"
        )
    stored, affine = read_image(file)
    # Z Y X, as the loaders of NIfTI data have it; else X Y Z, as the file has it.
    turned = slice_axis == 0
    volume = stored[0].T if turned else stored[0]
    label_map = _volume_labels(volume[None].astype(np.float32), predictor, slice_axis)
    if turned:
        label_map = label_map.T
    picture = nibabel.Nifti1Image(label_map, affine)  # type: ignore[no-untyped-call]
    nibabel.save(picture, target / file.name)


def _volume_labels(
    volume: NDArray[np.float32], predictor: Predictor, slice_axis: int
) -> NDArray[np.uint8]:
    """Label map (*S) of a volume (1 *S), slice by slice or in windows."""
    shape = volume.shape[1:]
    if predictor.spec.ndim == 3:
        shrink = tuple(predictor.settings["shrink"])
        whole = geometry.shrink_image(geometry.zscore(volume), shrink)
        return predictor.label_map(predictor.probabilities(whole[None]), shape, None)
    slices = []
    for part in geometry.image_slices(volume, slice_axis):
        slices.append(cache.unit_range(geometry.image_to_grid(part, predictor.spec.size)))
    return predictor.label_map(predictor.probabilities(np.stack(slices)), shape, slice_axis)
