"""Decoded images on disk, written by `bench.data.decode` and memory-mapped by workers.

Test masks and test labels lie in files of their own, which only scoring opens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from bench.api import IGNORE_INDEX, IGNORED, Case, Task, TrainView
from bench.data.index import REMEDY, CaseEntry, Index, Side, StoredArray
from bench.files.digests import FolderDigests
from bench.files.records import read_json

# On the training grid: train_images, train_masks, test_images.
# On the native grid: test_native (for pictures), test_masks.
TEST_LABELS = "test_labels.json"
PACKS = ("train_images", "train_masks", "test_images", "test_native", "test_masks")


@dataclass(frozen=True)
class DecodedDataset:
    """A data set that is ready to use: its folder in the cache and the index in that folder."""

    folder: Path
    index: Index


def decoded_files(folder: Path) -> FolderDigests:
    """The packs and test labels of a decoded data set, as they were written."""
    return FolderDigests(folder, REMEDY)


def open_pack(folder: Path, name: str) -> NDArray[np.uint8]:
    """One flat file of the cache, memory-mapped as bytes.

    Raises BenchError if it is not as it was written.
    """
    file = decoded_files(folder).check(folder / f"{name}.bin")
    if not file.stat().st_size:
        return np.zeros(0, np.uint8)
    return np.memmap(file, np.uint8, "r")


def take(pack: NDArray[np.uint8], stored: StoredArray) -> NDArray[Any]:
    """One array of a pack, without a copy."""
    dtype = np.dtype(stored.dtype)
    end = stored.offset + math.prod(stored.shape) * dtype.itemsize
    return pack[stored.offset : end].view(dtype).reshape(stored.shape)


class CaseList(Sequence[Case]):
    """Training cases, read from the cache whenever one is accessed.

    Without `masks` the file of masks is not even opened; without `labels` every label is None.
    """

    def __init__(
        self,
        folder: Path,
        entries: Sequence[CaseEntry],
        masks: bool,
        labels: bool,
        ignore: bool = False,
    ) -> None:
        self.entries = entries
        self.ignore = ignore  # masks may hold IGNORED
        self.labels = labels
        self.images = open_pack(folder, "train_images")
        self.masks: NDArray[np.uint8] | None = None
        if masks:
            self.masks = open_pack(folder, "train_masks")

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, position: int) -> Case: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Case]: ...
    def __getitem__(self, position: int | slice) -> Case | Sequence[Case]:
        if isinstance(position, slice):
            return [self._read_case(entry) for entry in self.entries[position]]
        return self._read_case(self.entries[position])

    def __iter__(self) -> Iterator[Case]:
        return (self._read_case(entry) for entry in self.entries)

    def _read_case(self, entry: CaseEntry) -> Case:
        mask: NDArray[np.int64] | None = None
        if self.masks is not None:
            mask = take(self.masks, entry.masks).astype(np.int64)
            if self.ignore:
                mask[mask == IGNORED] = IGNORE_INDEX
        label: int | None = None
        if self.labels:
            label = entry.label
        return Case(
            id=entry.id,
            group=entry.group,
            image=unit_range(take(self.images, entry.images)),
            mask=mask,
            label=label,
            spacing=entry.spacing,
            native=entry.resized_from,
        )


def unit_range(image: NDArray[Any]) -> NDArray[np.float32]:
    """An image as float32; 8-bit values are scaled to [0, 1]."""
    scaled = image.astype(np.float32)
    if image.dtype == np.uint8:
        scaled /= 255
    return scaled


def train_view(
    folder: Path,
    index: Index,
    labelled: Sequence[str],
    task: Task = "segmentation",
    class_known: bool = False,
) -> TrainView:
    """What a method may see: the labelled cases, and all others without their masks and labels.

    Labelled cases are in the order of `labelled` (patients), so that a smaller budget is a prefix
    of a larger one. In classification there are no masks, in segmentation no labels. `class_known`
    shows the labels of all cases.
    """
    ranks = {group: number for number, group in enumerate(labelled)}
    shown = [entry for entry in index.train if entry.group in ranks]
    shown.sort(key=lambda entry: ranks[entry.group])
    hidden = [entry for entry in index.train if entry.group not in ranks]
    segments = task == "segmentation"
    return TrainView(
        fit=CaseList(folder, shown, segments, class_known or not segments, index.card.ignore),
        unlabelled=CaseList(folder, hidden, masks=False, labels=class_known),
        spec=index.spec_of(task),
    )


def test_images(
    folder: Path, index: Index, side: Side = "test"
) -> Iterator[tuple[CaseEntry, NDArray[np.float32]]]:
    """Each test case with its images (N C *S) on the training grid; N counts slices, or is 1."""
    images = open_pack(folder, "test_images")
    return ((entry, unit_range(take(images, entry.images))) for entry in index.side(side))


def test_labels(folder: Path) -> dict[str, int | None]:
    """The label of each test case by id; only for scoring.

    Raises BenchError if their file is not as it was written.
    """
    file = decoded_files(folder).check(folder / TEST_LABELS)
    labels: dict[str, int | None] = read_json(file, REMEDY)
    return labels


def native_images(folder: Path, index: Index, side: Side = "test") -> dict[str, NDArray[Any]]:
    """Test images (C *S) by case id on the native grid, for pictures."""
    pack = open_pack(folder, "test_native")
    return {entry.id: take(pack, entry.native) for entry in index.side(side) if entry.native}


def native_masks(folder: Path, index: Index, side: Side = "test") -> dict[str, NDArray[np.uint8]]:
    """Test masks (*S) by case id on the native grid; only for scoring and pictures."""
    pack = open_pack(folder, "test_masks")
    return {entry.id: take(pack, entry.masks) for entry in index.side(side)}
