"""index.json in the folder of a decoded data set: what is known about its cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bench.api import Card, Spec, Task
from bench.errors import BenchError
from bench.files.records import read_record, write_record

REMEDY = "remove its folder and give the suite to 'run' again to decode the images anew"
Side = Literal["train", "test", "validation"]


@dataclass(frozen=True, slots=True)
class StoredArray:
    """The position of one array in a pack of the cache."""

    offset: int  # bytes
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class CaseEntry:
    """One decoded case: an image, a volume, or a training slice of one."""

    id: str
    record: str  # the id in the data set, which the slices of a volume share
    group: str  # patient
    label: int | None  # None for test cases, whose labels are in a file for scoring alone
    spacing: tuple[float, ...] | None  # mm per pixel of the native grid
    shape: tuple[int, ...]  # of the native grid
    classes: tuple[int, ...]  # foreground classes that are present
    area: float  # share of foreground pixels; for a volume, the sum over its slices
    images: StoredArray  # on the training grid: C *S of a training case, N C *S of a test case
    masks: StoredArray  # *S on the training grid, for a test case on its native grid
    native: StoredArray | None = None  # the image of a test case on its native grid, for pictures
    slice_axis: int | None = None  # of a volume that is segmented in slices
    # of a training case: the classes that are left on the training grid
    classes_on_grid: tuple[int, ...] | None = None
    volume: str | None = None  # of a single slice: the volume that it is part of
    # of an image that is resampled to a spacing: its sides (H W) on the grid, amid zeros
    inner: tuple[int, ...] | None = None
    # 4 4, of a NIfTI image: voxel indices as stored (X Y Z) -> mm
    affine: tuple[tuple[float, ...], ...] | None = None

    @property
    def resized_from(self) -> tuple[int, ...]:
        """The shape that would fill the whole training grid at the scale of this image."""
        if self.inner is None:
            return self.shape
        sides = zip(self.shape, self.images.shape[-2:], self.inner, strict=True)
        return tuple(round(native * grid / inner) for native, grid, inner in sides)

    @property
    def learnable(self) -> tuple[int, ...]:
        """The classes that a method can see: those that are left on the training grid."""
        if self.classes_on_grid is None:
            return self.classes
        return tuple(number for number in self.classes if number in self.classes_on_grid)


@dataclass(frozen=True, slots=True)
class DroppedCase:
    """A training case that is left out because it nearly equals a test case."""

    id: str  # in the data set
    copy_of: str


@dataclass(frozen=True)
class Index:
    """All cases of a decoded data set."""

    card: Card
    spec: Spec  # of segmentation
    data: str  # sha256 of all decoded content
    train: Sequence[CaseEntry]
    test: Sequence[CaseEntry]
    validation: Sequence[CaseEntry] = ()
    dropped: Sequence[DroppedCase] = ()

    def side(self, side: Side) -> Sequence[CaseEntry]:
        """The cases of one side."""
        sides = {"train": self.train, "test": self.test, "validation": self.validation}
        return sides[side]

    def spec_of(self, task: Task) -> Spec:
        """What a method is told about the data set for a task."""
        return spec_of_task(self.spec, self.card, task)


def spec_of_task(spec: Spec, card: Card, task: Task) -> Spec:
    """The spec of a task; in classification, its classes are the labels of whole images."""
    classes = spec.classes if task == "segmentation" else len(card.labels)
    return replace(spec, task=task, classes=classes)


def is_decoded(folder: Path) -> bool:
    """Whether a folder of the cache is complete: its index is written last."""
    return (folder / "index.json").exists()


def read_index(folder: Path) -> Index:
    """The index of a decoded data set. Raises BenchError if there is none."""
    index = read_record(folder / "index.json", Index, REMEDY)
    if index is None:
        raise BenchError(f"the decoded images in {folder} are gone; give the suite to 'run' again")
    return index


def write_index(folder: Path, index: Index) -> None:
    """Write the index; to be called after all that it describes is written."""
    write_record(folder / "index.json", index)
