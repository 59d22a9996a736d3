"""Images and slices of several spacings on one: amid zeros on the grid, and back to their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.api import Card, RawCase, Record, Spec
from bench.data import cache, decode, geometry
from bench.data.cache import native_masks, open_pack, take, train_view
from bench.data.decoded_case import Grid
from bench.errors import BenchError, DataProblem
from bench.execution.prediction.images import ImageFiles
from bench.execution.prediction.predict import MASKS_ALONE, _write_mask, _write_volume
from bench.planning.suite import Suite
from bench.scoring.score_cell import read_label_map
from bench.worker.predictors import Predictor
from datasets.readers.image_file import read_image_file
from tests.data.test_spacing import CARD as VOLUMES
from tests.data.test_spacing import SUITE

CARD = replace(VOLUMES, ndim=2, classes=("background", "disc"))
SPACINGS = ((1.0, 1.0), (2.0, 1.0), (1.0, 2.0), (2.0, 2.0))
TARGET = (2.0, 2.0)
GRID = Grid((32, 32), (), TARGET)
SPEC = Spec("segmentation", 2, 1, 2, (32, 32), (0.0, 1.0), False)
SETTINGS = {"largest_component": False, "spacing": list(TARGET)}


def disc(spacing: tuple[float, ...], sides: tuple[float, ...] = (48, 40)) -> NDArray[np.uint8]:
    """A disc of 12 mm radius in the middle of a box of so many mm, sampled at a spacing."""
    axes = []
    for side, step in zip(sides, spacing, strict=True):
        axes.append((np.arange(round(side / step)) + 0.5) * step - side / 2)
    y, x = np.meshgrid(*axes, indexing="ij")
    return (y**2 + x**2 < 144).astype(np.uint8)


class Discs:
    """Eight images of the same disc at four spacings."""

    card: Card = CARD
    spacings: tuple[Any, ...] = SPACINGS

    def records(self) -> list[Record]:
        return [Record(f"c{number}", f"c{number}", None) for number in range(8)]

    def read(self, record: Record) -> RawCase:
        spacing = self.spacings[int(record.id[1]) % 4]
        mask = disc(spacing or (1.0, 1.0))
        return RawCase(200 * mask[None], mask, spacing)


class Bright:
    """Marks what is bright."""

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([1 - images, images], 1)


def predictor(**changes: Any) -> Predictor:
    return Predictor(Bright(), SPEC, {**SETTINGS, **changes}, torch.device("cpu"))


def dice(first: NDArray[Any], second: NDArray[Any]) -> float:
    overlap = np.logical_and(first, second).sum()
    return float(2 * overlap / (first.sum() + second.sum()))


def prepared(dataset: Any, folder: Path, grid: Grid = GRID) -> Any:
    records = dataset.records()
    half = len(records) // 2
    sides = {"train": records[:half], "test": records[half:]}
    return decode.prepare(dataset, sides, grid, folder, "code", drop_copies=False)


def test_an_image_lies_in_the_middle_amid_zeros() -> None:
    image = np.full((1, 3, 2), 7, np.uint8)
    framed = geometry.image_to_grid(image, (6, 4), (3, 2))
    assert framed[0].tolist() == [[0] * 4, *[[0, 7, 7, 0]] * 3, [0] * 4, [0] * 4]
    assert geometry.mask_to_grid(image[0], (6, 4), (3, 2)).tolist() == framed[0].tolist()
    maps = torch.arange(24.0).reshape(1, 1, 6, 4)
    assert geometry.without_frame(maps, (3, 2)).ravel().tolist() == [5, 6, 9, 10, 13, 14]
    assert geometry.without_frame(maps, None) is maps
    assert geometry.image_to_grid(image, (3, 2)) is image  # as without a spacing


def test_images_of_all_spacings_show_one_disc(tmp_path: Path) -> None:
    decoded = prepared(Discs(), tmp_path)
    index = decoded.index
    assert [entry.inner for entry in index.train] == [(24, 20)] * 4
    pack = open_pack(decoded.folder, "train_masks")
    masks = [take(pack, entry.masks) for entry in index.train]
    for mask in masks:
        assert mask.shape == (32, 32)
        assert mask.sum() == pytest.approx(np.pi * 36, rel=0.06)  # 12 mm are 6 pixels
        assert dice(mask, masks[0]) > 0.93
    shapes = {entry.shape for entry in index.test}
    assert shapes == {(48, 40), (24, 40), (48, 20), (24, 20)}
    [first, *_] = train_view(decoded.folder, index, ["c1"]).fit
    assert first.native == (32, 64)  # of 2 x 1 mm: the whole grid would be so many pixels


def test_without_a_spacing_nothing_changes(tmp_path: Path) -> None:
    decoded = prepared(Discs(), tmp_path, Grid((32, 32)))
    assert {entry.inner for entry in decoded.index.train} == {None}
    [first, *_] = train_view(decoded.folder, decoded.index, ["c1"]).fit
    assert first.native == (24, 40)


def test_predictions_come_back_to_each_image(tmp_path: Path) -> None:
    decoded = prepared(Discs(), tmp_path / "cache")
    predictor().write(cache.test_images(decoded.folder, decoded.index), tmp_path / "out")
    masks = native_masks(decoded.folder, decoded.index)
    for entry in decoded.index.test:
        label_map = read_label_map(tmp_path / "out", entry.id, entry.shape)
        assert label_map is not None
        assert dice(label_map, masks[entry.id]) > 0.9


def test_slices_of_volumes_have_the_spacing_in_their_plane(tmp_path: Path) -> None:
    class Volumes(Discs):
        card = replace(VOLUMES, slice_axis=0)

        def read(self, record: Record) -> RawCase:
            flat = super().read(record)
            assert flat.mask is not None and flat.spacing is not None
            mask = np.stack([flat.mask] * 3)
            return RawCase(np.stack([flat.image] * 3, 1), mask, (9.0, *flat.spacing))

    decoded = prepared(Volumes(), tmp_path / "cache")
    assert {entry.inner for entry in decoded.index.train} == {(24, 20)}
    predictor().write(cache.test_images(decoded.folder, decoded.index), tmp_path / "out")
    for entry in decoded.index.test:
        label_map = read_label_map(tmp_path / "out", entry.id, entry.shape)
        assert label_map is not None
        assert dice(label_map[1], native_masks(decoded.folder, decoded.index)[entry.id][1]) > 0.9


def test_an_image_that_is_larger_than_the_grid_is_refused(tmp_path: Path) -> None:
    words = (
        r"case c0: 24 x 20 pixels of 2 x 2 mm; expected at most 16 x 32; give the suite a larger"
    )
    with pytest.raises(DataProblem, match=words):
        prepared(Discs(), tmp_path, Grid((16, 32), (), TARGET))


def test_an_image_of_no_spacing_is_refused_unless_the_card_has_one(tmp_path: Path) -> None:
    discs = Discs()
    discs.spacings = (None,) * 4
    with pytest.raises(DataProblem, match="case c0: no spacing is known"):
        prepared(discs, tmp_path)
    discs.card = replace(CARD, spacing=(1.0, 1.0))
    assert prepared(discs, tmp_path).index.train[0].inner == (24, 20)


def test_new_images_are_brought_to_the_spacing(tmp_path: Path) -> None:
    """`predict`: a NIfTI volume, cut into slices of 1 x 1 mm, and pictures, which have none."""
    card = replace(VOLUMES, oriented=True)
    flat = disc((1.0, 1.0))
    volume = np.stack([flat] * 4, 0).T.astype(np.float32)  # X Y Z
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([1.0, 1.0, 5.0, 1.0])), tmp_path / "v.nii")
    target = tmp_path / "out"
    target.mkdir()
    image = ImageFiles("v", (tmp_path / "v.nii",))
    _write_volume(image, target, predictor(), card, read_image_file, MASKS_ALONE)
    written = np.asarray(nibabel.load(target / "v.nii").dataobj)
    assert dice(written, volume > 0) > 0.9

    np.save(tmp_path / "p.npy", 200 * flat)
    picture = ImageFiles("p", (tmp_path / "p.npy",))
    with pytest.raises(BenchError, match=r"p\.npy given; the model was trained on images of one"):
        _write_mask(picture, target, predictor(), CARD, read_image_file, MASKS_ALONE)
    stated = replace(CARD, spacing=(1.0, 1.0))
    _write_mask(picture, target, predictor(), stated, read_image_file, MASKS_ALONE)
    assert (target / "p.png").is_file()


IMAGES: dict[str, Any] = {**SUITE, "size": [32, 32], "backbone": {"name": "unet"}}


def test_the_key_of_a_suite_of_images() -> None:
    suite = Suite.model_validate({**IMAGES, "spacing": [1.5, 1.5]})
    assert suite.inference_settings == {"largest_component": False, "spacing": [1.5, 1.5]}
    with pytest.raises(ValidationError, match="'spacing' goes with segmentation; drop it, or"):
        Suite.model_validate(
            {**IMAGES, "spacing": [1.5, 1.5], "tasks": ["segmentation", "classification"]}
        )
    with pytest.raises(ValidationError, match=r"three numbers, or with 2D, two numbers"):
        Suite.model_validate({**IMAGES, "spacing": [1.5]})
