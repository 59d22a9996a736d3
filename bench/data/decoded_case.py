"""One case, read and brought to the training grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.api import IGNORED, Card, Dataset, RawCase, Record
from bench.data import geometry
from bench.data.index import (
    CaseEntry,
    StoredArray,
)
from bench.data.near_duplicates import thumbnail
from bench.data.pack_writer import PackWriter
from bench.data.raw_case import checked
from bench.errors import DataProblem

LARGEST_GRID = 2**26  # pixels or voxels of one training image


@dataclass(frozen=True, slots=True)
class Grid:
    """The training grid: images of `size`, or patches of `size` out of coarser volumes.

    Volumes are shrunk, or resampled to one spacing; images too, which then lie amid zeros.
    """

    size: tuple[int, ...]
    shrink: tuple[int, ...] = ()  # 3D: along each axis, how many voxels become one
    spacing: tuple[float, ...] = ()  # mm along each axis; none where images keep theirs

    def describe(self) -> str:
        """How masks come to this grid, in words."""
        if self.spacing:
            return f"resampling to {' x '.join(f'{step:g}' for step in self.spacing)} mm"
        if len(self.size) == 2:
            return f"resizing to {'x'.join(map(str, self.size))}"
        return f"shrinking by {'x'.join(map(str, self.shrink))}"


@dataclass(frozen=True)
class DecodedCase:
    """One case on its native grid, to be written to the packs."""

    card: Card
    record: Record
    raw: RawCase
    mask: NDArray[np.uint8]  # *S
    grid: Grid

    @property
    def is_sliced(self) -> bool:
        """Whether it is a volume that is trained on in slices."""
        return self.raw.image.ndim == 4 and len(self.grid.size) == 2

    @property
    def spacing(self) -> tuple[float, ...] | None:
        """mm along its axes: as its file says, or the card for all files."""
        return self.raw.spacing or self.card.spacing

    @property
    def inner(self) -> tuple[int, ...] | None:
        """The sides of an image that is resampled to a spacing, amid zeros; else None.

        Raises DataProblem where it is larger than the grid.
        """
        if self.spacing is None:
            return None
        shape = self.raw.image.shape[1:]
        steps = tuple(self.spacing)
        axis = self.card.slice_axis
        if self.is_sliced:
            shape = shape[:axis] + shape[axis + 1 :]
        if len(steps) > len(shape):  # a card has that of whole volumes
            steps = steps[:axis] + steps[axis + 1 :]
        return sides_in_frame(f"case {self.record.id}", shape, steps, self.grid)

    def thumbnail(self) -> NDArray[np.float32]:
        """What look-alikes are found by (32 32)."""
        return thumbnail(self.raw.image, self.card.slice_axis)

    def write_test(self, writers: Mapping[str, PackWriter]) -> CaseEntry:
        """Store a test or validation case: its images on the training grid, the rest native."""
        images = [self.raw.image]
        axis: int | None = None
        if self.is_sliced:
            axis = self.card.slice_axis
            images = list(geometry.image_slices(self.raw.image, axis))
        on_grid = [self._on_grid(image) for image in images]
        stored = writers["test_images"].add(np.stack(on_grid))  # 1 C *S, or the slices D C H W
        native = writers["test_native"].add(self.raw.image)
        stored_mask = writers["test_masks"].add(self.mask)
        entry = self._entry(self.record.id, self.mask, stored, stored_mask)
        return replace(entry, native=native, slice_axis=axis, inner=self.inner)

    def write_training(self, writers: Mapping[str, PackWriter]) -> list[CaseEntry]:
        """Store a training case on the training grid: one entry, or one for each slice."""
        names = [self.record.id]
        images = [self.raw.image]
        masks = [self.mask]
        if self.is_sliced:
            images = list(geometry.image_slices(self.raw.image, self.card.slice_axis))
            masks = list(geometry.mask_slices(self.mask, self.card.slice_axis))
            names = [f"{self.record.id}_s{number:03d}" for number in range(len(images))]
        entries = []
        inner = self.inner
        for name, image, mask in zip(names, images, masks, strict=True):
            stored = writers["train_images"].add(self._on_grid(image))
            small = mask_on_grid(mask, self.grid, self.spacing, inner)
            stored_mask = writers["train_masks"].add(small)
            entry = self._entry(name, mask, stored, stored_mask)
            left = classes_in(small, self.card)
            entries.append(replace(entry, classes_on_grid=left, inner=inner))
        return entries

    def _on_grid(self, image: NDArray[Any]) -> NDArray[Any]:
        """An image (C H W) at the grid's size; a volume (C *S) z-scored, unless it was, on it."""
        if image.ndim == 3:
            return geometry.image_to_grid(geometry.to_unit(image), self.grid.size, self.inner)
        is_scored = self.card.normalised
        values = image.astype(np.float32) if is_scored else geometry.zscore(image)
        return volume_on_grid(values, self.grid, self.spacing)

    def _entry(
        self, name: str, mask: NDArray[np.uint8], images: StoredArray, masks: StoredArray
    ) -> CaseEntry:
        plane = float(mask.size)
        if mask.ndim == 3:
            plane /= mask.shape[self.card.slice_axis]
        spacing = self.raw.spacing
        return CaseEntry(
            id=name,
            record=self.record.id,
            group=self.record.group,
            label=self.record.label,
            spacing=tuple(spacing) if spacing else None,
            shape=mask.shape,
            classes=classes_in(mask, self.card),
            area=float(_foreground(mask, self.card) / plane),
            images=images,
            masks=masks,
            volume=self.record.volume,
            affine=_plain_affine(self.raw),
        )


def classes_in(mask: NDArray[np.uint8], card: Card) -> tuple[int, ...]:
    """The foreground classes in a mask."""
    values = np.unique(mask)
    if card.ignore:
        values = values[values != IGNORED]
    return tuple(int(value) for value in values if value)


def _foreground(mask: NDArray[np.uint8], card: Card) -> int:
    """How many pixels of a mask are of a foreground class."""
    is_foreground = mask > 0
    if card.ignore:
        is_foreground &= mask != IGNORED
    return int(is_foreground.sum())


def _plain_affine(raw: RawCase) -> tuple[tuple[float, ...], ...] | None:
    if raw.affine is None:
        return None
    return tuple(tuple(row) for row in raw.affine.tolist())


def read_case_on_grid(dataset: Dataset, record: Record, grid: Grid) -> DecodedCase:
    """Read a case. Raises DataProblem if it cannot be used."""
    slices_fit = len(grid.size) == 2
    raw = checked(dataset.read(record), record.id, dataset.card, slices_fit)
    if raw.mask is None:
        raise DataProblem(
            f"case {record.id}: no mask given; expected one for every case; "
            "add it or remove the case"
        )
    if grid.spacing and not (raw.spacing or dataset.card.spacing):
        raise DataProblem(
            f"case {record.id}: no spacing is known; expected mm for each axis, as the suite "
            "resamples to a 'spacing'; drop that key, or say the spacing on the card"
        )
    return DecodedCase(dataset.card, record, raw, raw.mask, grid)


def sides_in_frame(
    name: str, shape: Sequence[int], spacing: Sequence[float], grid: Grid
) -> tuple[int, ...] | None:
    """The sides (H W) that an image has on a 2D grid of a spacing; None where it fills the grid.

    Raises DataProblem where it is larger than the grid: nothing is cut off.
    """
    if len(grid.size) == 3 or not grid.spacing:
        return None
    sides = geometry.resampled_shape(shape, spacing, grid.spacing)
    if any(side > most for side, most in zip(sides, grid.size, strict=True)):
        raise DataProblem(
            f"{name}: {' x '.join(map(str, sides))} pixels of "
            f"{' x '.join(f'{step:g}' for step in grid.spacing)} mm; expected at most "
            f"{' x '.join(map(str, grid.size))}; give the suite a larger 'size' or 'spacing'"
        )
    return sides


def volume_on_grid(
    values: NDArray[np.float32], grid: Grid, spacing: Sequence[float] | None
) -> NDArray[np.float32]:
    """A volume (C *S), z-scored already, on the training grid: resampled or shrunk."""
    if not grid.spacing:
        return geometry.shrink_image(values, grid.shrink)
    assert spacing is not None  # which `read_case_on_grid` refuses
    shape = geometry.resampled_shape(values.shape[1:], spacing, grid.spacing)
    return geometry.resample_image(values, shape)


def mask_on_grid(
    mask: NDArray[np.uint8],
    grid: Grid,
    spacing: Sequence[float] | None = None,
    inner: tuple[int, ...] | None = None,
) -> NDArray[np.uint8]:
    """A mask (H W) at the grid's size, or a volume (*S) of a spacing resampled or shrunk.

    `inner` is that of its image, where it lies amid zeros.
    """
    if mask.ndim == 2:
        return geometry.mask_to_grid(mask, grid.size, inner)
    if not grid.spacing:
        return geometry.shrink_mask(mask, grid.shrink)
    assert spacing is not None
    shape = geometry.resampled_shape(mask.shape, spacing, grid.spacing)
    return geometry.resample_mask(mask, shape)
