"""Decoded images on disk, memory-mapped by workers; test masks lie in a file of their own. Written by `decode`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from bench.api import Case, Spec, Task, TrainView

# On the training grid: train_images, train_masks, test_images. On the native grid: test_native (pictures), test_masks.
PACKS = ("train_images", "train_masks", "test_images", "test_native", "test_masks")


@dataclass(frozen=True)
class Prepared:
    """A dataset ready to use: its folder in the cache and the index that lies in it."""

    folder: Path
    index: dict[
        str, Any
    ]  # card, spec, data (sha256); train, test, validation and dropped: one entry per case


def spec_of(index: Mapping[str, Any], task: Task) -> Spec:
    """What a method is told of a dataset for a task; `index` holds `spec` and `card` (an index, or a job)."""
    fields = index["spec"]
    size = tuple(fields["size"])
    intensity = tuple(fields["intensity"]) if fields["intensity"] else None
    classes = fields["classes"] if task == "segmentation" else len(index["card"]["labels"])
    return Spec(
        **{**fields, "task": task, "classes": classes, "size": size, "intensity": intensity}
    )


def open_pack(folder: Path, name: str) -> NDArray[np.uint8]:
    """One flat file of the cache, memory-mapped as bytes."""
    file = folder / f"{name}.bin"
    return np.memmap(file, np.uint8, "r") if file.stat().st_size else np.zeros(0, np.uint8)


def take(pack: NDArray[np.uint8], place: dict[str, Any]) -> NDArray[Any]:
    """One array out of a pack."""
    dtype = np.dtype(place["dtype"])
    count = int(np.prod(place["shape"])) * dtype.itemsize
    return pack[place["offset"] : place["offset"] + count].view(dtype).reshape(place["shape"])


class CaseList(Sequence[Case]):
    """Training cases, decoded from the cache when they are looked at; masks and labels only where they are shown."""

    def __init__(
        self, folder: Path, entries: Sequence[dict[str, Any]], masks: bool, labels: bool
    ) -> None:
        self.entries, self.labels = entries, labels
        self.images = open_pack(folder, "train_images")
        self.masks = open_pack(folder, "train_masks") if masks else None

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, position: int) -> Case: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Case]: ...
    def __getitem__(self, position: int | slice) -> Case | Sequence[Case]:
        if isinstance(position, slice):
            return [self._case(entry) for entry in self.entries[position]]
        return self._case(self.entries[position])

    def __iter__(self) -> Iterator[Case]:
        return (self._case(entry) for entry in self.entries)

    def _case(self, entry: dict[str, Any]) -> Case:
        mask = (
            None if self.masks is None else take(self.masks, entry["train_masks"]).astype(np.int64)
        )
        return Case(
            id=entry["id"],
            group=entry["group"],
            image=unit_range(take(self.images, entry["train_images"])),
            mask=mask,
            label=entry["label"] if self.labels else None,
            spacing=tuple(entry["spacing"]) if entry["spacing"] else None,
        )


def unit_range(image: NDArray[Any]) -> NDArray[np.float32]:
    """float32; 8-bit values become 0..1."""
    scaled = image.astype(np.float32)
    if image.dtype == np.uint8:
        scaled /= 255
    return scaled


def load_index(folder: Path) -> dict[str, Any]:
    """The index of a prepared dataset."""
    loaded: dict[str, Any] = json.loads((folder / "index.json").read_text())
    return loaded


def train_view(
    folder: Path,
    index: dict[str, Any],
    labelled: Sequence[str],
    task: Task = "segmentation",
    class_known: bool = False,
) -> TrainView:
    """What a method may see: cases of the labelled patients in full, the others without mask and label.

    Labelled cases stand in the order of `labelled`, so that a smaller budget is a prefix of a larger one. Under
    classification there are no masks, under segmentation no labels. `class_known` shows the labels of all cases.
    """
    place = {group: number for number, group in enumerate(labelled)}
    fit = sorted(
        (c for c in index["train"] if c["group"] in place), key=lambda case: place[case["group"]]
    )
    rest = [case for case in index["train"] if case["group"] not in place]
    return TrainView(
        fit=CaseList(
            folder,
            fit,
            masks=task == "segmentation",
            labels=class_known or task == "classification",
        ),
        select=(),
        unlabelled=CaseList(folder, rest, masks=False, labels=class_known),
        spec=spec_of(index, task),
    )


Side = Literal["test", "validation"]


def test_images(
    folder: Path, index: dict[str, Any], side: Side = "test"
) -> Iterator[tuple[dict[str, Any], NDArray[np.float32]]]:
    """Each test entry with its images (N C *S) on the training grid: N is 1, or the slices of a volume."""
    images = open_pack(folder, "test_images")
    return ((entry, unit_range(take(images, entry["test_images"]))) for entry in index[side])


def test_labels(folder: Path) -> dict[str, int | None]:
    """The label of each test case; for scoring alone."""
    found: dict[str, int | None] = json.loads((folder / "test_labels.json").read_text())
    return found


def native(
    folder: Path,
    index: dict[str, Any],
    pack: Literal["test_native", "test_masks"],
    side: Side = "test",
) -> dict[str, NDArray[Any]]:
    """Test images (C *S) or masks (*S) by case id on the native grid; for scoring and pictures alone."""
    data = open_pack(folder, pack)
    return {case["id"]: take(data, case[pack]) for case in index[side]}
