"""The contract on one page: what a method sees, and what a method or a data set must offer.

Shapes are written with B images in a batch, C channels, K classes, and *S for the spatial axes:
H W in 2D, Z Y X in 3D.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Task = Literal["segmentation", "classification"]

# Where a data set with an ignore label knows no class, its masks hold IGNORED as they are read, and
# IGNORE_INDEX as methods see them, which torch's cross_entropy leaves out by itself.
IGNORED = 255
IGNORE_INDEX = -100

# Endings of images that no reader takes. Among images that are read, such files are named: to pass
# over them would leave cases out without a word.
OTHER_IMAGES = (
    ".webp",
    ".jp2",
    ".j2k",
    ".jpe",
    ".jfif",
    ".avif",
    ".heic",
    ".ppm",
    ".pgm",
    ".pbm",
    ".tga",
    ".psd",
    ".svs",
    ".ndpi",
    ".czi",
    ".dcm",
    ".dicom",
    ".mha",
    ".mhd",
    ".nrrd",
    ".mgz",
    ".img",
    ".nii",
    ".nii.gz",
)


@dataclass(frozen=True, slots=True)
class Case:
    """One image on the training grid; `mask` and `label` are None where the budget hides them.

    Images in 2D have the size `Spec.size`. In 3D a case is a whole volume of any shape, from
    which the method cuts patches of `Spec.size`.

    In classification no case has a mask. In segmentation, and for unlabelled cases, the label is
    given only if the suite sets `class_known: true`.
    """

    id: str
    group: str  # the patient: the unit of splits, intervals and tests
    image: NDArray[np.float32]  # C *S; values as `Spec.intensity` says
    # *S; class numbers, 0 is background; IGNORE_INDEX where the class of a pixel is not known
    mask: NDArray[np.int64] | None
    label: int | None = None  # of the whole image, from 0
    spacing: tuple[float, ...] | None = None  # mm per pixel of the native grid; None if unknown
    # *S of the native grid, which an image was resized from; None if unknown
    native: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """One target that unites classes of masks, as the whole tumour does; regions may overlap."""

    name: str
    classes: tuple[int, ...]  # class numbers whose pixels it has
    paint: int  # the class that label maps hold where it is the last region predicted


@dataclass(frozen=True, slots=True)
class Spec:
    """What all cases of a data set share on the training grid."""

    task: Task
    ndim: int  # 2 or 3
    channels: int
    classes: int  # K: includes background in segmentation; counts image labels in classification
    size: tuple[int, ...]  # *S of what a method trains on and segments: images, or patches in 3D
    intensity: tuple[float, float] | None  # range: (0, 1) in 2D; None in 3D, where it is z-scored
    normals: bool  # whether some cases have no lesion
    # Of a method whose card says that it trains on regions, where the data set has some: it gives a
    # probability of each by a sigmoid. Masks hold class numbers all the same.
    regions: tuple[Region, ...] = ()

    @property
    def identity(self) -> dict[str, Any]:
        """All of it as plain data, for the settings of a shared part; regions where there are some.

        The seed of a part follows from its settings, so these stay as they were before regions.
        """
        content = asdict(self)
        if not self.regions:
            del content["regions"]
        return content

    @property
    def outputs(self) -> int:
        """How many maps, or logits of an image, a network gives: one for each region or class."""
        return len(self.regions) or self.classes


@dataclass(frozen=True, slots=True)
class TrainView:
    """All that a method may learn from; if it needs validation cases, it takes them from `fit`."""

    fit: Sequence[Case]  # labelled, in the order in which their patients were drawn
    unlabelled: Sequence[Case]  # all other training cases, without masks and labels
    spec: Spec


class Saved(Protocol):
    """Lets a training, or a long build of a shared part, go on where a killed one stopped."""

    last: dict[str, torch.Tensor] | None  # the state kept last; None on the first start

    def is_due(self) -> bool:
        """Whether the state kept last is so old that it is time for another one."""
        ...

    def keep(self, state: dict[str, torch.Tensor]) -> None:
        """Keep a state until the training has ended; it replaces the one kept before."""
        ...


Build = Callable[[int, Saved], "dict[str, torch.Tensor]"]  # (seed, saved) -> state


class Run(Protocol):
    """What the harness lends a method for one training."""

    spec: Spec
    device: torch.device  # to train on; `segment` and its like get their images there
    precision: str  # float32 or bfloat16
    steps: int  # T: the optimiser steps of this run

    def seed(self, role: str) -> int:
        """A 63-bit seed for a named role, such as "augment".

        It follows from the data set, the budget and the draw, not from the method, so that
        methods share batch orders and initial weights.
        """
        ...

    def log(self, step: int, **scalars: float) -> None:
        """Record scalars of one step. Raises NotFiniteError, which fails the cell."""
        ...

    def progress(self, step: int) -> None:
        """Report that `step` of `steps` is done; to be called after every step."""
        ...

    def saved(self) -> Saved:
        """What a killed launch kept of the next loop over steps, and where to keep more.

        Each call is for another loop, in the order of the training; `methods.training.steps` asks.
        """
        ...

    def backbone(self) -> torch.nn.Module:
        """A fresh network of the suite for `spec.task`, initialised from the seed of `backbone`.

        It maps images (B C *S) to logits: (B K *S) in segmentation, (B K) in classification; where
        `spec` has regions, (B R *S). It lies on the CPU.
        """
        ...

    def part(
        self,
        name: str,
        config: Mapping[str, Any],
        inputs: Sequence[str],
        build: Build,
    ) -> dict[str, torch.Tensor]:
        """A trained component that cells share, such as the generator of one image.

        `build` is called once for each combination of `name`, `config` and `inputs` (the ids of
        the images that it trains on); other cells load the state that it returned. The seed that
        `build` gets follows from these, not from the cell.
        """
        ...


class Method(Protocol):
    """A method is built as `Method(config, spec)` and has at least one capability, like `Segments`.

    It may have `facts`, a dict of short texts about its training that the page shows.
    """

    def fit(self, view: TrainView, run: Run) -> None:
        """Train for `run.steps` steps. Any exception fails the cell."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """All tensors that `load` needs to predict as the method does now."""
        ...

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        """Restore a saved state in a fresh object; `run` lends the backbone that it fills."""
        ...


@runtime_checkable
class Segments(Protocol):
    """Segments images."""

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K *S) for images (B C *S) on the training grid; they sum to 1 over K.

        Where `spec` has regions: (B R *S), of each region by itself.
        """
        ...


@runtime_checkable
class Classifies(Protocol):
    """Classifies whole images."""

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K) for images (B C H W) on the training grid; they sum to 1 over K."""
        ...


@runtime_checkable
class Synthesises(Protocol):
    """Generates images, with masks or, in classification, with labels."""

    def synthesise(self, n: int, seed: int) -> Iterator[Case]:
        """Yield n cases on the training grid, images (C *S) in [0, 1]; the same ones for a seed."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """Describes images by features, for distances between sets of images."""

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Features (B D) for images (B C *S) on the training grid."""
        ...


@runtime_checkable
class Normalises(Protocol):
    """Removes lesions from images."""

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Pseudo-healthy images (B C *S) in [0, 1] for images (B C *S) on the training grid."""
        ...


@runtime_checkable
class Augments(Protocol):
    """Also trains the shared segmenter on real and synthetic images."""

    def segment_augmented(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K *S) that this segmenter gives for images (B C *S)."""
        ...


@dataclass(frozen=True, slots=True)
class Card:
    """What a data set is and what its terms allow."""

    id: str
    title: str
    ndim: int
    channels: int
    classes: tuple[str, ...]  # names, background first
    normals: bool  # whether some cases have no lesion
    unit: str  # what a group is, in words: "patient", or "image" where patients are unknown
    source: str
    licence: str
    citation: str
    redistribute: bool  # whether pictures may be published with a leaderboard
    synthetic: bool = False
    # mm, of every image; for data whose files give no spacing
    spacing: tuple[float, ...] | None = None
    slice_axis: int = 0  # of a volume (*S): the axis along which its 2D slices are stacked
    normalised: bool = False  # volumes are stored z-scored: the harness keeps their values
    # names of `Record.label` 0, 1, ...; a data set without them has no classification
    labels: tuple[str, ...] = ()
    # images are NIfTI, and their reader turns them to one orientation: Z Y X in RAS+, or its H W
    oriented: bool = False
    # masks may hold IGNORED: such pixels are left out of losses and scores
    ignore: bool = False
    # scored in place of the classes, in the order in which they are painted into a label map
    regions: tuple[Region, ...] = ()

    @property
    def targets(self) -> tuple[Region, ...]:
        """What is scored in each case: the regions, or else each foreground class by itself."""
        if self.regions:
            return self.regions
        foreground = enumerate(self.classes[1:], 1)
        return tuple(Region(name, (number,), number) for number, name in foreground)


@dataclass(frozen=True, slots=True)
class Record:
    """One case before it is decoded."""

    id: str  # unique in the data set; part of file names, so without path separators
    group: str  # the patient
    # the side on which the data's own split has it, None if there is no such split
    split: Literal["train", "test", "validation"] | None
    label: int | None = None
    image: Path | None = None
    masks: tuple[Path, ...] = ()  # several masks of one image are united
    channels: tuple[Path, ...] = ()  # files of further channels, if each has its own
    volume: str | None = None  # of a single slice: the volume that it is part of


@dataclass(frozen=True, slots=True)
class RawCase:
    """One decoded case on its native grid; a data set of volumes may train on single slices."""

    image: NDArray[Any]  # C *S; uint8 (0..255) or float32
    mask: NDArray[np.uint8] | None  # *S; class numbers, or IGNORED where the card says `ignore`
    spacing: tuple[float, ...] | None = None  # mm per pixel or voxel, in the order of *S
    notes: tuple[str, ...] = ()  # what was repaired, like a resized mask; `data check` names them
    # 4 4, of a NIfTI image: voxel indices as stored (X Y Z) -> mm; predictions must lie there too
    affine: NDArray[np.float64] | None = None


class Dataset(Protocol):
    """A data set; `DATASETS` in its file maps each id to a factory that takes the data folder."""

    card: Card

    def records(self) -> list[Record]:
        """All cases, in the order of the data's lists. Raises DataProblem if files are missing."""
        ...

    def read(self, record: Record) -> RawCase:
        """Decode one case. Raises DataProblem that names a file that cannot be used."""
        ...


DatasetFactory = Callable[[str, Path | None], Dataset]  # (id, the folder given with --data)
