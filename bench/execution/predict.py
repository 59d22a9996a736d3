"""Applies the model of a finished cell to new images: masks as pictures, of volumes as NIfTI."""

from __future__ import annotations

import gzip
import os
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.api import OTHER_IMAGES, Card, Spec
from bench.cell_folder import CellFolder
from bench.data import cache, geometry
from bench.errors import BenchError
from bench.execution.chosen_models import AskedModels, as_one, chosen_keys
from bench.files import csv_text
from bench.store import Store, refuse_links

if TYPE_CHECKING:
    from bench.worker.predictors import ClassPredictor, Predictor

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".npy")
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
MARK = b"ScarceBench"  # near the start of each file that `predict` writes


class VolumeFile(Protocol):
    """A NIfTI file that was read: where its voxels lie, and how label maps are written like it."""

    def to_harness(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Stored voxels (X Y Z) as data sets read them: Z Y X in one orientation."""
        ...

    def to_stored(self, array: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `to_harness`."""
        ...

    def write_labels(self, labels: NDArray[np.uint8], file: Path) -> None:
        """Write a label map (X Y Z) with the shape, spacing and orientation of this file."""
        ...


# Reads a file: a picture (C H W) and None, or a volume (1 X Y Z) as stored and its file.
ImageReader = Callable[[Path], "tuple[NDArray[Any], VolumeFile | None]"]


def default_target(images: Path) -> Path:
    """The folder for masks beside a folder of images. Raises BenchError for a root folder."""
    folder = images.resolve()
    if not folder.name:
        raise BenchError(f"images {images} given; expected a folder of images; give --to too")
    return folder.with_name(f"{folder.name}_masks")


def predict(
    store: Store, key: str, images: Path, target: Path, device: str, read_image: ImageReader
) -> int:
    """Write the masks of one run, given by its key or the first characters of it.

    See `predict_as_asked`.
    """
    return predict_as_asked(store, AskedModels(key), images, target, device, read_image)


def predict_as_asked(
    store: Store,
    asked: AskedModels,
    images: Path,
    target: Path,
    device: str,
    read_image: ImageReader,
) -> int:
    """Write a mask for every image in a folder, or labels.csv if the models classify.

    Probabilities of several models are averaged. Returns the number of images. Raises BenchError
    for models or images that cannot be used.
    """
    from bench.worker.predictors import ClassPredictor

    refuse_links(store.out)
    folders = [store.cell(key) for key in chosen_keys(store, asked)]
    files = _images(images)
    _make_target(target, images)
    predictor = as_one([_load(folder, device, store.plugins) for folder in folders])
    card = folders[0].expect_job().card
    assert card is not None  # every cell that has a model has one
    if isinstance(predictor, ClassPredictor):
        _write_labels(files, target, predictor, card.labels, read_image)
        return len(files)
    for file in files:
        if _is_volume(file):
            _write_volume(file, target, predictor, card, read_image)
        else:
            _write_mask(file, target, predictor, read_image)
    return len(files)


def _load(folder: CellFolder, device: str, plugins: Sequence[Path]) -> Predictor | ClassPredictor:
    """The model of a cell. Raises BenchError if there is none or if its file is damaged."""
    from bench.worker.model import load_model

    try:
        return load_model(folder, device, plugins)
    except BenchError:
        raise
    except Exception as problem:  # whatever the decoder of weights or the method's `load` raises
        reason = " ".join(str(problem).split())[:200]
        raise BenchError(
            f"{folder.model} cannot be loaded ({type(problem).__name__}: {reason}); "
            f"remove {folder.path} and run the suite again"
        ) from None


def _make_target(target: Path, images: Path) -> None:
    """Make the folder for masks. Raises BenchError if that is not possible.

    Masks never go among the images: they would replace them, or be taken for images next time.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise BenchError(
            f"--to {target} given; it cannot be made ({problem.strerror}); give another folder"
        ) from None
    if target.samefile(images):
        raise BenchError(
            f"--to {target} given; it is the folder of the images; give another one for the masks"
        )


@contextmanager
def _replacing(file: Path) -> Iterator[Path]:
    """A name to write to; what was written there then takes the name of the file at once.

    A link of that name is replaced, not followed. Raises BenchError if the disk refuses, or if the
    file is none that `predict` wrote, such as a reference mask.
    """
    if file.exists() and not _is_own(file):
        raise BenchError(
            f"{file} is there already and was not written by 'predict'; "
            "give another --to, or move it away"
        )
    ending = _ending_of(file) or file.suffix
    part = file.with_name(f".part-{os.getpid()}{ending}")
    try:
        yield part
        part.replace(file)
    except OSError as problem:
        raise BenchError(
            f"cannot write {file} ({problem.strerror or problem}); free the disk or give another "
            "--to"
        ) from None
    finally:
        part.unlink(missing_ok=True)


def _is_own(file: Path) -> bool:
    """Whether `predict` wrote a file."""
    try:
        with file.open("rb") as plain:
            start = plain.read(2000)
        if file.suffix == ".gz":
            with gzip.open(file) as unpacked:
                start = unpacked.read(2000)
    except (OSError, EOFError, zlib.error):
        return False
    return MARK in start or start.startswith(b"image,label")


def _images(folder: Path) -> list[Path]:
    """The images in a folder. Raises BenchError if there are none, or if two have one name."""
    if not folder.is_dir():
        raise BenchError(f"images {folder} given; expected a folder of images")
    try:
        # macOS leaves hidden twins such as ._a.png beside the files
        visible = [file for file in folder.iterdir() if not file.name.startswith(".")]
    except OSError as problem:
        raise BenchError(f"images {folder} given; it cannot be read ({problem.strerror})") from None
    files = sorted(file for file in visible if _ending_of(file))
    known = ", ".join(PICTURES + VOLUMES)
    if not files:
        raise BenchError(f"images {folder} given; it holds none; expected {known}")
    others = [file.name for file in visible if _is_other_image(file)]
    if others:
        names = ", ".join(sorted(others)[:3])
        raise BenchError(
            f"images {folder} given; {len(others)} of its images would be left out ({names}); "
            f"expected {known}; convert them, or move them away"
        )
    first: dict[str, Path] = {}
    for file in files:
        stem = unicodedata.normalize("NFC", _stem_of(file))
        other = first.setdefault(stem, file)
        if other is not file:
            raise BenchError(
                f"images {folder} given; {other.name} and {file.name} would share a mask; "
                "rename one"
            )
    return files


def _ending_of(file: Path) -> str:
    """The ending of an image file, in lower case; empty for other files."""
    name = file.name.lower()
    return next((ending for ending in PICTURES + VOLUMES if name.endswith(ending)), "")


def _is_other_image(file: Path) -> bool:
    """Whether a file is an image of a kind that is not read."""
    return not _ending_of(file) and file.name.lower().endswith(OTHER_IMAGES) and file.is_file()


def _stem_of(file: Path) -> str:
    """The name of an image file without its ending; dots in it are kept."""
    return file.name[: -len(_ending_of(file))]


def _is_volume(file: Path) -> bool:
    return _ending_of(file) in VOLUMES


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
    with _replacing(target / f"{_stem_of(file)}.png") as part:
        _write_picture(label_map, part)


def _write_labels(
    files: Sequence[Path],
    target: Path,
    predictor: ClassPredictor,
    labels: Sequence[str],
    read_image: ImageReader,
) -> None:
    """Write labels.csv: each image with its label and the probability of every label."""
    rows: list[list[str]] = [["image", "label", *labels]]
    for file in files:
        if _is_volume(file):
            raise BenchError(
                f"{file} given; the model was trained on images; expected {' or '.join(PICTURES)}"
            )
        _, grid = _read_picture(file, predictor.spec, read_image)
        probabilities = predictor.probabilities(grid[None])[0].tolist()
        predicted = labels[probabilities.index(max(probabilities))]
        columns = [f"{probability:.6f}" for probability in probabilities]
        names = [csv_text.quote_formula(name) for name in (file.name, predicted)]
        rows.append([*names, *columns])
    with _replacing(target / "labels.csv") as part:
        part.write_text(csv_text.write_rows(rows), encoding="utf-8", newline="")


def _write_picture(label_map: NDArray[np.uint8], file: Path) -> None:
    from PIL import Image, PngImagePlugin

    picture = Image.fromarray(label_map).convert("P")
    picture.putpalette([part for colour in COLOURS for part in colour])
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", MARK.decode())
    picture.save(file, pnginfo=text)


def _write_volume(
    file: Path, target: Path, predictor: Predictor, card: Card, read_image: ImageReader
) -> None:
    """Write the mask of a one-channel NIfTI file, as that file is stored."""
    if predictor.spec.channels != 1:
        raise BenchError(
            f"{file} given; the model was trained on images of {predictor.spec.channels} "
            "channels; give such images"
        )
    stored, source = read_image(file)
    assert source is not None
    voxels = stored[0]
    if predictor.spec.ndim == 3 and voxels.shape[2] == 1:
        raise BenchError(f"{file} holds a slice; the model was trained on volumes; give volumes")
    # Data sets that know no orientation have slices along axis 0 (Z Y X), or are stored as X Y Z.
    transposed = card.slice_axis == 0
    if card.oriented:
        voxels = source.to_harness(voxels)
    elif transposed:
        voxels = voxels.T
    is_slice = voxels.ndim == 2
    if is_slice:
        label_map = _volume_labels(voxels[None, None], predictor, 0)[0]
    else:
        label_map = _volume_labels(voxels[None], predictor, card.slice_axis)
    if card.oriented:
        label_map = source.to_stored(label_map)
    elif transposed:
        label_map = label_map.T
    with _replacing(target / f"{_stem_of(file)}{_ending_of(file)}") as part:
        source.write_labels(label_map, part)


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
