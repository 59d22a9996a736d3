"""What is known of the decoded cases of a data set: index.json in its folder of the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bench.api import Card, Spec, Task
from bench.errors import BenchError
from bench.records import read_record, write_record

REMEDY = "remove its folder and give the suite to 'run' again to decode the images anew"
Side = Literal["train", "test", "validation"]


@dataclass(frozen=True, slots=True)
class StoredArray:
    """Where one array lies in a pack of the cache."""

    offset: int  # bytes
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class CaseEntry:
    """One decoded case: an image, a volume, or a training slice of one."""

    id: str
    record: str  # the id that the data set gives it: slices of one volume share it
    group: str  # patient
    label: int | None  # None of test cases: scoring alone opens the file of their labels
    spacing: tuple[float, ...] | None
    shape: tuple[int, ...]  # of the native grid
    classes: tuple[int, ...]  # foreground classes present
    area: float  # share of foreground pixels; of a volume the sum over its slices
    images: StoredArray  # on the training grid; of a test case N C *S: N is 1, or the slices
    masks: StoredArray  # of a training case on the training grid, of a test case on the native one
    native: StoredArray | None = None  # the image of a test case on its native grid, for pictures
    slice_axis: int | None = None  # of a volume that is segmented in slices


@dataclass(frozen=True, slots=True)
class DroppedCase:
    """A training image that was left out because it nearly equals a test image."""

    id: str
    copy_of: str


@dataclass(frozen=True)
class Index:
    """All cases of a prepared data set."""

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
        """What a method is told of the data set for a task."""
        return spec_of_task(self.spec, self.card, task)


def spec_of_task(spec: Spec, card: Card, task: Task) -> Spec:
    """The spec of a task: in classification the classes are the labels of whole images."""
    classes = spec.classes if task == "segmentation" else len(card.labels)
    return replace(spec, task=task, classes=classes)


def is_decoded(folder: Path) -> bool:
    """Whether a folder of the cache is whole: its index is written last."""
    return (folder / "index.json").exists()


def read_index(folder: Path) -> Index:
    """The index of a prepared data set. Raises BenchError where there is none."""
    index = read_record(folder / "index.json", Index, REMEDY)
    if index is None:
        raise BenchError(f"the decoded images in {folder} are gone; give the suite to 'run' again")
    return index


def write_index(folder: Path, index: Index) -> None:
    """Write the index, after all that it tells of."""
    write_record(folder / "index.json", index)
