"""Applies the model of a finished cell to new images: masks as pictures, of volumes as NIfTI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.api import Card, Spec
from bench.cell_folder import CellFolder
from bench.data import cache, geometry
from bench.data.decoded_case import Grid, sides_in_frame, volume_on_grid
from bench.data.geometry import native_probabilities
from bench.errors import BenchError, cut
from bench.execution.prediction.chosen_models import AskedModels, as_one, chosen_keys
from bench.execution.prediction.files import (
    replacing,
    write_overlay,
    write_picture,
    write_probabilities,
)
from bench.execution.prediction.images import (
    PICTURES,
    VOLUMES,
    ImageFiles,
    ending_of,
    images_in,
)
from bench.execution.prediction.models import open_model
from bench.execution.prediction.volumes import Frame, ImageReader, read_channels
from bench.files import csv_text
from bench.store import Store, refuse_links

if TYPE_CHECKING:
    from bench.worker.predictors import ClassPredictor, Predictor


@dataclass(frozen=True, slots=True)
class Extras:
    """What is written beside masks."""

    probabilities: bool = False  # NAME.npz for each image
    overlays: bool = False  # overlays/NAME.png


MASKS_ALONE = Extras()


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
    extras: Extras = MASKS_ALONE,
) -> int:
    """Write a mask for every image in a folder, or labels.csv if the models classify.

    Probabilities of several models are averaged. Returns the number of images. Raises BenchError
    for models or images that cannot be used.
    """
    from bench.worker.predictors import ClassPredictor

    refuse_links(store.out)
    folders = [store.cell(key) for key in chosen_keys(store, asked)]
    for folder in folders:
        folder.expect_own("cell.json", folder.expect_job().cell.key)
    job = folders[0].expect_job()
    assert job.card is not None  # every cell that has a model has one
    assert job.spec is not None
    given = images_in(images, job.spec.channels)
    make_target(target, images)
    predictor = as_one([open_model(folder, device, store.plugins) for folder in folders])
    if isinstance(predictor, ClassPredictor):
        _refuse_extras(extras)
        with _naming_model(folders[0]):
            _write_labels(given, target, predictor, job.card.labels, read_image)
        return len(given)
    for image in given:
        with _naming_model(folders[0]):
            if image.is_volume:
                _write_volume(image, target, predictor, job.card, read_image, extras)
            else:
                _write_mask(image, target, predictor, job.card, read_image, extras)
    return len(given)


@contextmanager
def _naming_model(folder: CellFolder) -> Iterator[None]:
    """Turn what is no probability of a model into a BenchError that names its cell."""
    try:
        yield
    except (ValueError, ArithmeticError) as problem:
        raise BenchError(
            f"the model of cell {folder.key} cannot be applied ({cut(str(problem))}); give another "
            "one, or remove its folder and give the suite to 'run' again"
        ) from problem


def _refuse_extras(extras: Extras) -> None:
    if extras != MASKS_ALONE:
        raise BenchError(
            "--probabilities or --overlays given; the model classifies whole images, and "
            "labels.csv holds its probabilities; drop them"
        )


def make_target(target: Path, images: Path) -> None:
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


def _read_picture(image: ImageFiles, spec: Spec, read_image: ImageReader) -> NDArray[Any]:
    """The pixels of a picture (C H W)."""
    parts = [read_image(file)[0] for file in image.files]
    shapes = {part.shape for part in parts}
    if len(parts) > 1 and shapes != {(1, *parts[0].shape[1:])}:
        listed = ", ".join(str(part.shape) for part in parts)
        raise BenchError(
            f"{image.first} and its other channels have shapes {listed} (C H W); expected grey "
            "pictures of one size; convert them"
        )
    pixels = np.concatenate(parts)
    if pixels.shape[0] != spec.channels:
        raise BenchError(
            f"{image.first} has {pixels.shape[0]} channels; the model was trained on "
            f"{spec.channels}; convert it"
        )
    return pixels


def _on_grid(
    pixels: NDArray[Any], size: tuple[int, ...], inner: tuple[int, ...] | None = None
) -> NDArray[np.float32]:
    """An image (C H W) on the training grid."""
    return cache.unit_range(geometry.image_to_grid(geometry.to_unit(pixels), size, inner))


def _inner_sides(
    image: ImageFiles, shape: Sequence[int], spacing: Sequence[float] | None, predictor: Predictor
) -> tuple[int, ...] | None:
    """The sides of an image amid zeros, of a model of one spacing. Raises BenchError without one.

    `spacing` is that of the file or, where files have none, that of the data set trained on.
    """
    target = tuple(predictor.settings.get("spacing", ()))
    if predictor.spec.ndim == 3 or not target:
        return None
    if spacing is None:
        raise BenchError(
            f"{image.first} given; the model was trained on images of one spacing (mm), and this "
            "file has none; give NIfTI"
        )
    return sides_in_frame(str(image.first), shape, spacing, Grid(predictor.spec.size, (), target))


def _write_mask(
    image: ImageFiles,
    target: Path,
    predictor: Predictor,
    card: Card,
    read_image: ImageReader,
    extras: Extras,
) -> None:
    if predictor.spec.ndim == 3:
        raise BenchError(
            f"{image.first} given; the model was trained on volumes; "
            f"expected {' or '.join(VOLUMES)}"
        )
    pixels = _read_picture(image, predictor.spec, read_image)
    shape = pixels.shape[1:]
    inner = _inner_sides(image, shape, card.spacing, predictor)
    grid = _on_grid(pixels, predictor.spec.size, inner)
    probabilities = geometry.without_frame(predictor.probabilities(grid[None]), inner)
    label_map = predictor.label_map(probabilities, shape, None)
    write_picture(label_map, target / f"{image.name}.png")
    if extras.probabilities:
        native = native_probabilities(probabilities, shape, None)
        write_probabilities(native, target / f"{image.name}.npz")
    if extras.overlays:
        write_overlay(pixels, label_map, target / "overlays" / f"{image.name}.png")


def _write_labels(
    images: Sequence[ImageFiles],
    target: Path,
    predictor: ClassPredictor,
    labels: Sequence[str],
    read_image: ImageReader,
) -> None:
    """Write labels.csv: each image with its label and the probability of every label."""
    rows: list[list[str]] = [["image", "label", *labels]]
    for image in images:
        if image.is_volume:
            raise BenchError(
                f"{image.first} given; the model was trained on images; "
                f"expected {' or '.join(PICTURES)}"
            )
        grid = _on_grid(_read_picture(image, predictor.spec, read_image), predictor.spec.size)
        probabilities = predictor.probabilities(grid[None])[0].tolist()
        predicted = labels[probabilities.index(max(probabilities))]
        columns = [f"{probability:.6f}" for probability in probabilities]
        names = [csv_text.quote_formula(name) for name in (_listed_name(image), predicted)]
        rows.append([*names, *columns])
    with replacing(target / "labels.csv") as part:
        part.write_text(csv_text.write_rows(rows), encoding="utf-8", newline="")


def _listed_name(image: ImageFiles) -> str:
    """The name of an image in labels.csv: that of its file, or of its case where it has several."""
    return image.first.name if len(image.files) == 1 else image.name


def _write_volume(
    image: ImageFiles,
    target: Path,
    predictor: Predictor,
    card: Card,
    read_image: ImageReader,
    extras: Extras,
) -> None:
    """Write the mask of a NIfTI file, or of one file for each channel, as the first is stored."""
    stored, source = read_channels(image, predictor.spec, read_image)
    if predictor.spec.ndim == 3 and stored.shape[3] == 1:
        raise BenchError(
            f"{image.first} holds a slice; the model was trained on volumes; give volumes"
        )
    frame = Frame(card, source)
    volume = np.stack([frame.to_harness(channel) for channel in stored])
    is_slice = volume.ndim == 3
    if is_slice:
        volume = volume[:, None]
    axis = 0 if is_slice else card.slice_axis
    labels, probabilities = _volume_labels(
        image, volume, predictor, axis, frame, extras.probabilities
    )
    ending = ending_of(image.first)
    stored_labels = labels[0] if is_slice else labels
    with replacing(target / f"{image.name}{ending}") as part:
        source.write_labels(frame.to_stored(stored_labels), part)
    if probabilities is not None:
        native = probabilities[:, 0] if is_slice else probabilities
        by_class = [frame.to_stored(of_class) for of_class in native]
        write_probabilities(np.stack(by_class), target / f"{image.name}.npz")
    if extras.overlays:
        _draw_fullest_slice(volume, labels, axis, target / "overlays" / f"{image.name}.png")


def _draw_fullest_slice(
    volume: NDArray[Any], labels: NDArray[np.uint8], axis: int, file: Path
) -> None:
    """Draw the slice of a volume (C *S) that has the most foreground."""
    areas = np.moveaxis(labels > 0, axis, 0).sum((1, 2))
    number = int(areas.argmax())
    shown: NDArray[np.uint8] = np.moveaxis(labels, axis, 0)[number]
    write_overlay(np.moveaxis(volume, axis + 1, 0)[number], shown, file)


def _volume_labels(
    image: ImageFiles,
    volume: NDArray[np.float32],
    predictor: Predictor,
    slice_axis: int,
    frame: Frame,
    with_probabilities: bool,
) -> tuple[NDArray[np.uint8], NDArray[np.float16] | None]:
    """The label map (*S) of a volume (C *S), predicted slice by slice or in windows.

    With its probabilities (K *S) if these are wanted.
    """
    shape = volume.shape[1:]
    axis: int | None = slice_axis
    factors: tuple[int, ...] = ()
    sides = shape[:slice_axis] + shape[slice_axis + 1 :]
    inner = _inner_sides(image, sides, frame.spacing_in_slices(), predictor)
    if predictor.spec.ndim == 3:
        axis = None
        factors = tuple(predictor.settings["shrink"])
        target = tuple(predictor.settings.get("spacing", ()))
        wanted = Grid(predictor.spec.size, factors, target)
        grid = volume_on_grid(geometry.zscore(volume), wanted, frame.spacing())[None]
    else:
        slices = []
        for part in geometry.image_slices(volume, slice_axis):
            slices.append(_on_grid(part, predictor.spec.size, inner))
        grid = np.stack(slices)
    probabilities = geometry.without_frame(predictor.probabilities(grid), inner)
    native = None
    if with_probabilities:
        native = native_probabilities(probabilities, shape, axis, factors)
    return predictor.label_map(probabilities, shape, axis), native
