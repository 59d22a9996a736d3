"""What the files of a cell hold, as typed records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

from bench import hashing
from bench.api import Card, Spec, Task
from bench.files.digests import (
    FileDigest,
)
from bench.metrics.convergence import still_falls
from bench.names import EXTERNAL

PROTOCOL = "2"  # raise it when a rule of the protocol or of scoring changes what a result means
STEPS_BELOW = 2**63  # MLflow keeps a step in 64 bits
# Among inference settings: what a method gives probabilities of where it is not of classes.
TARGETS = "targets"
REGIONS = "regions"
PredictionSet = Literal["last", "best", "augmented"]


@dataclass(frozen=True)
class CellKey:
    """All that decides the result of one training; its hash names the folder of the cell."""

    task: Task
    dataset: str
    labelled: int
    subset: int
    method: str
    config: Mapping[str, Any]
    steps: int
    size: tuple[int, ...]
    threads: int
    precision: str
    backbone: Mapping[str, Any]
    seed: int
    split: str
    data: str
    code: str
    inference_settings: Mapping[str, Any]  # from the training grid to label maps
    select: Mapping[str, Any] | None = None  # checkpoints to keep on the way: by, every, start
    samples: int | None = None  # how many synthetic images a generator makes
    protocol: str = PROTOCOL
    phase: str = "final"  # tuning: a trial; waiting: for its study; untuned: all trials failed
    fold: tuple[int, int] | None = None  # of a trial: its number, and how many the suite asks for
    class_known: bool = False  # the labels of all training images are visible

    @cached_property
    def key(self) -> str:
        """The first 20 hex characters of the sha256 of all that decides the result."""
        return hashing.digest(self.identity())[:20]

    def identity(self) -> dict[str, Any]:
        """The fields of CellKey by name, without those of a subclass."""
        content = {name: getattr(self, name) for name in _KEY_FIELDS}
        if self.method == EXTERNAL:
            content["config"] = {}  # the path of the files does not matter: `code` hashes them
        return content

    def bare_key(self) -> CellKey:
        """This key without the fields of a subclass."""
        return CellKey(**self.identity())


_KEY_FIELDS = tuple(field_.name for field_ in fields(CellKey))


@dataclass(frozen=True)
class CellJob:
    """cell.json: all that a worker reads besides the cache."""

    cell: CellKey
    patients: Sequence[str] = ()  # labelled, in the order they were drawn
    held_out: Sequence[str] = ()  # labelled patients that a trial is scored on
    # Of decoded images; paths are as seen from the folder of the cell.
    cache: str = ""
    weights: str | None = None  # the file with weights of the suite's network
    device: str = "auto"
    pseudo_healthy: bool = False  # the method removes lesions from images
    plugins: Sequence[str] = ()  # files, as seen from there
    plugin_code: str | None = None  # hash of the plug-in that brings the method, if one does
    keep_model: bool = False
    checkpoint_s: float = 300.0  # of training, between two states that a killed one goes on from
    spec: Spec | None = None
    card: Card | None = None
    commit: str = ""  # of this project, when the run was last planned


@dataclass(frozen=True)
class CellCost:
    """The time and memory that a cell took."""

    train_seconds: float  # without shared parts
    part_seconds: float  # to build its shared parts, whichever cell built them
    part_wait_seconds: float  # to build, await and load them here
    import_seconds: float
    cell_seconds: float
    inference_ms: float  # per image, slice or volume
    peak_memory_mb: float
    parameters: int
    segmenter_steps: int
    launches: int = 1  # over which the training was spread; all seconds are sums over them


@dataclass(frozen=True)
class CellResult:
    """result.json: written last, so all other files of the cell are complete."""

    key: str
    predictions: int
    samples: int = 0
    parts: Mapping[str, float] = field(default_factory=dict)  # key of each shared part -> seconds
    facts: Mapping[str, str] = field(default_factory=dict)
    cost: CellCost | None = None  # None for predictions made elsewhere
    environment: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[str] = ()  # predictions made elsewhere that are missing or do not fit


@dataclass(frozen=True)
class CellFailure:
    """failure.json: why a cell failed."""

    key: str
    kind: str
    message: str
    log: Sequence[str] = ()  # the last lines of log.txt

    @property
    def reason(self) -> str:
        """Kind and message in one line."""
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True)
class CellInterruption:
    """interrupted.json: why the machine could not finish a cell; it is run again."""

    kind: str
    message: str

    @property
    def reason(self) -> str:
        """Kind and message in one line."""
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True)
class CellProgress:
    """progress.json: how far a running cell is."""

    step: int
    steps: int
    latest: Mapping[str, float] = field(default_factory=dict)  # values of its curves, by name


@dataclass(frozen=True)
class ScoreStamp:
    """scores.json: what the score tables were computed from."""

    inputs: str  # a hash
    tables: Mapping[str, FileDigest] = field(default_factory=dict)  # by their path in the cell


@dataclass(frozen=True)
class SelectedCheckpoint:
    """selected.json: the checkpoint that was best on a list of cases."""

    by: str  # the list: test or validation
    every: int
    start: int
    step: int  # of the best one
    dice: Mapping[int, float]  # mean of each candidate, by step


@dataclass(frozen=True)
class Distance:
    """The distance between synthetic and real images in the features of one extractor."""

    metric: str  # fid, fid_tf1 or fd
    extractor: str
    reason: str | None = None  # why there is no number
    n: int | None = None  # images on each side
    distance: float | None = None
    floor: float | None = None  # between two sets of real images
    kid: float | None = None
    density: float | None = None
    coverage: float | None = None
    label: str | None = None  # if only images of this label are compared
    real: int | None = None  # how many real images there are
    per_class: Sequence[Distance] = ()


@dataclass(frozen=True)
class CopiedPair:
    """A synthetic image and the training image nearest to it."""

    nearest: str  # case id
    distance: float
    ssim: float
    copy: bool


@dataclass(frozen=True)
class CopyCounts:
    """How many synthetic images nearly equal a training image; rates with their 95% interval."""

    extractor: str
    rate: tuple[float, float, float]
    rate_of_test: tuple[float, float, float] | None  # of real test images, for comparison
    pairs: Sequence[CopiedPair] = ()


@dataclass(frozen=True)
class CurvePoint:
    """The distance of a generator's images at one moment of its training."""

    shown: int  # images it had seen
    distance: float
    n: int  # images on each side


@dataclass(frozen=True)
class GeneratorCurve:
    """Distances in the course of a training; `label` is None for a generator of all labels."""

    label: str | None
    points: Sequence[CurvePoint]

    @property
    def still_falls(self) -> bool:
        """Whether the training ended before the distance stopped falling (R5.11)."""
        shown = [point.shown for point in self.points]
        return still_falls(shown, [point.distance for point in self.points])


@dataclass(frozen=True)
class Judgement:
    """judged.json: what the reference model and feature extractors say about a cell's images."""

    inputs: str  # a hash of what it was computed from
    n: int = 0  # images on each side of a distance
    made: int = 0  # synthetic images
    real: int = 0  # real images
    distances: Sequence[Distance] = ()
    copies: CopyCounts | None = None
    curves: Sequence[GeneratorCurve] = ()
    masks: Mapping[str, Any] | None = None  # see bench.metrics.mask_plausibility
    agreement: float | None = None  # of masks, or labels, with predictions of the reference model
    normal: Sequence[Distance] = ()  # from pseudo-healthy images to images of healthy patients
    reason: str | None = None  # why pseudo-healthy images could not be judged
    # Of pseudo-healthy images: the images and their scores, by their path in the cell.
    files: Mapping[str, FileDigest] = field(default_factory=dict)


def unusable_curves(history: Mapping[str, Any]) -> list[str]:
    """The names of curves that are no lists of a step and a number."""
    return [name for name, curve in history.items() if not _is_curve(curve)]


def _is_curve(curve: Any) -> bool:
    return isinstance(curve, list | tuple) and all(map(_is_point, curve))


def _is_point(point: Any) -> bool:
    if not isinstance(point, list | tuple) or len(point) != 2:
        return False
    step, value = point
    if type(step) is not int or abs(step) >= STEPS_BELOW or type(value) not in (int, float):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True
