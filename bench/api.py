"""The contract on one page: what a method sees, what it must offer, and what a dataset must offer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Task = Literal["segmentation", "classification"]


@dataclass(frozen=True, slots=True)
class Case:
    """One image on the training grid; `mask` and `label` are None where the budget hides them.

    Under classification no case has a mask. Under segmentation, and of unlabelled cases, `label` is known only where
    a suite says `class_known: true`.

    In 3D it is a whole volume of any shape, out of which patches of `Spec.size` are cut.
    """

    id: str
    group: str  # the patient: the unit of splits, intervals and tests
    image: NDArray[np.float32]  # C *S
    mask: NDArray[np.int64] | None  # *S, 0 is background
    label: int | None = None
    spacing: tuple[float, ...] | None = None  # mm per pixel of the native grid, None where unknown


@dataclass(frozen=True, slots=True)
class Spec:
    """What all cases of a dataset share on the training grid."""

    task: Task
    ndim: int  # 2 or 3
    channels: int
    classes: int  # background counted in segmentation; labels of whole images in classification
    size: tuple[int, ...]  # of what a method trains on and segments: images in 2D, patches in 3D
    intensity: tuple[float, float] | None  # (0, 1) in 2D; None in 3D, which is z-scored
    normals: bool  # some cases hold no lesion


@dataclass(frozen=True, slots=True)
class TrainView:
    """All that a method may learn from: labelled cases to fit, labelled cases to select on, hidden rest."""

    fit: Sequence[Case]
    select: Sequence[Case]
    unlabelled: Sequence[Case]
    spec: Spec


class Saved(Protocol):
    """What a long build of a shared part may use to go on where a killed one stopped."""

    last: dict[str, torch.Tensor] | None  # what was kept last, None at the first start

    def keep(self, state: dict[str, torch.Tensor]) -> None:
        """Keep a state until the part is built."""
        ...


Build = Callable[[int, Saved], "dict[str, torch.Tensor]"]  # (seed, saved) -> state


class Run(Protocol):
    """What the harness lends a method for one training."""

    spec: Spec
    device: torch.device
    precision: str  # float32 or bfloat16
    steps: int  # T: the optimiser steps of this run

    def seed(self, role: str) -> int:
        """A 63-bit seed for a named role; data-side roles do not depend on the method."""
        ...

    def log(self, step: int, **scalars: float) -> None:
        """Record scalars of one step; a value that is not finite fails the cell."""
        ...

    def progress(self, step: int) -> None:
        """Say that `step` of `steps` is done."""
        ...

    def backbone(self) -> torch.nn.Module:
        """A fresh network of the suite for `spec.task`, initialised from the seed of role `backbone`."""
        ...

    def part(
        self,
        name: str,
        config: Mapping[str, Any],
        inputs: Sequence[str],
        build: Build,
    ) -> dict[str, torch.Tensor]:
        """A trained component that cells share: `build` is called once for each name, config and image ids."""
        ...


class Method(Protocol):
    """A method is built as `Method(config, spec)` and adds at least one capability, such as `Segments`.

    It may have `facts`, a dict of short texts about its training that the page shows.
    """

    def fit(self, view: TrainView, run: Run) -> None: ...

    def state(self) -> dict[str, torch.Tensor]: ...

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        """Take up a saved state in a fresh object; `run` lends the backbone that the state fills."""
        ...


@runtime_checkable
class Segments(Protocol):
    """Can turn images into class probabilities."""

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K *S) of images (B C *S) on the training grid."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """Can tell which label an image has."""

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K) of images (B C H W) on the training grid."""
        ...


@runtime_checkable
class Synthesises(Protocol):
    """Can make new images, with masks or, in classification, with labels."""

    def synthesise(self, n: int, seed: int) -> Iterator[Case]:
        """n cases on the training grid."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """Can describe images by features, for distances between sets of images."""

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Features (B D) of images (B C *S) on the training grid."""
        ...


@runtime_checkable
class Normalises(Protocol):
    """Can take lesions out of images."""

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Pseudo-normal images (B C *S) in [0, 1] of images (B C *S) on the training grid."""
        ...


@runtime_checkable
class Augments(Protocol):
    """Trains the shared segmenter on real and synthetic images, besides a model of its own."""

    def segment_augmented(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K *S) of images (B C *S) by the shared segmenter."""
        ...


@dataclass(frozen=True, slots=True)
class Card:
    """What a dataset is and what its terms allow."""

    id: str
    title: str
    ndim: int
    channels: int
    classes: tuple[str, ...]  # names, background first
    normals: bool
    unit: str  # what a group is, in words: "patient", or "image" where patients are unknown
    source: str
    licence: str
    citation: str
    redistribute: bool  # pictures may be published with a board
    synthetic: bool = False
    spacing: tuple[float, ...] | None = (
        None  # mm, of every image, where one value holds for all and files say none
    )
    slice_axis: int = 0  # of a volume (*S): the axis along which its 2D slices lie
    normalised: bool = False  # volumes are stored z-scored: the harness keeps their values
    labels: tuple[
        str, ...
    ] = ()  # names of `Record.label` 0, 1, ...; without them there is no classification


@dataclass(frozen=True, slots=True)
class Record:
    """One case before it is decoded."""

    id: str  # unique in the dataset; also a file name, so without separators
    group: str
    split: (
        Literal["train", "test", "validation"] | None
    )  # the data's own split, None where it has none
    label: int | None = None
    image: Path | None = None
    masks: tuple[Path, ...] = ()  # several masks of one image are united
    channels: tuple[Path, ...] = ()  # files of further channels, where each has its own


@dataclass(frozen=True, slots=True)
class RawCase:
    """One decoded case on its native grid; a dataset of volumes may give single slices to train on."""

    image: NDArray[Any]  # C *S; uint8 (0..255) or float32
    mask: NDArray[np.uint8] | None  # *S
    spacing: tuple[float, ...] | None = None
    notes: tuple[
        str, ...
    ] = ()  # what had to be mended, such as a resized mask; counted by `data check`


class Dataset(Protocol):
    """A dataset family; `DATASETS` in its file maps each id to a factory that takes the data folder."""

    card: Card

    def records(self) -> list[Record]:
        """All cases in list order. Raises DataProblem where files are missing."""
        ...

    def read(self, record: Record) -> RawCase:
        """Decode one case. Raises DataProblem naming the file where it cannot be used."""
        ...


DatasetFactory = Callable[[str, Path | None], Dataset]  # (dataset id, the folder given with --data)
