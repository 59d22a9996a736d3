"""Every file of a cell: its name, its type, its reader and its writer. Nobody else opens them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from bench import hashing
from bench.api import Card, Spec, Task
from bench.names import EXTERNAL
from bench.records import parse_record, plain_data, read_json, read_record, write_json, write_record

PROTOCOL = "1"  # raise it when a rule of protocol or scoring changes what a result means
REMEDY = "remove the folder of this cell and give its suite to 'run' again"
JUDGE_AGAIN = "remove the file and run 'report'"

State = Literal["done", "failed", "running", "missing"]
PredictionSet = Literal["last", "best", "augmented"]
# last: of the final checkpoint. best: of the checkpoint that a suite selects, as papers do.
# augmented: of the shared segmenter that saw synthetic images too.
PREDICTION_SETS: tuple[PredictionSet, ...] = ("last", "best", "augmented")


@dataclass(frozen=True)
class CellKey:
    """All that decides the result of one training; its hash names the folder."""

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
    select: Mapping[str, Any] | None = None  # checkpoints kept on the way: by, every, start
    samples: int | None = None  # synthetic images of a generator
    protocol: str = PROTOCOL
    phase: str = "final"  # tuning: of a trial; waiting: for its study; untuned: its trials failed
    fold: tuple[int, int] | None = None  # of a trial: its number, and how many were asked for
    class_known: bool = False  # labels of all training images are seen

    @cached_property
    def key(self) -> str:
        """sha256 of all that decides the result, its first 20 hex characters."""
        return hashing.digest(self.identity())[:20]

    def identity(self) -> dict[str, Any]:
        """The fields of CellKey as plain data, also of what derives from it."""
        content = {field_.name: getattr(self, field_.name) for field_ in fields(CellKey)}
        if self.method == EXTERNAL:
            content["config"] = {}  # where the files lie does not matter, `code` is their content
        return content

    def bare_key(self) -> CellKey:
        """The same without what a subclass adds."""
        return CellKey(**self.identity())

    @property
    def is_trial(self) -> bool:
        """Whether it is of a trial of tuning."""
        return self.phase == "tuning"


@dataclass(frozen=True)
class CellJob:
    """cell.json: all that a worker reads besides the cache."""

    cell: CellKey
    patients: Sequence[str] = ()  # labelled, in the order they were drawn
    held_out: Sequence[str] = ()  # labelled patients that a trial is scored on
    cache: str = ""
    weights: str | None = None
    device: str = "auto"
    pseudo_healthy: bool = False  # takes lesions out of images
    plugins: Sequence[str] = ()
    keep_model: bool = False
    spec: Spec | None = None
    card: Card | None = None


@dataclass(frozen=True)
class CellCost:
    """What a cell took."""

    train_seconds: float
    part_seconds: float  # of shared parts, also where another cell built them
    part_wait_seconds: float
    import_seconds: float
    cell_seconds: float
    inference_ms: float
    peak_memory_mb: float
    parameters: int
    segmenter_steps: int


@dataclass(frozen=True)
class CellResult:
    """result.json: written last, it says that all other files of the cell are whole."""

    key: str
    predictions: int
    samples: int = 0
    parts: Mapping[str, float] = field(default_factory=dict)  # key of each shared part -> seconds
    facts: Mapping[str, str] = field(default_factory=dict)
    cost: CellCost | None = None  # None of predictions from elsewhere
    environment: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[str] = ()  # predictions from elsewhere that are missing or do not fit


@dataclass(frozen=True)
class CellFailure:
    """failure.json: why a cell failed."""

    key: str
    kind: str
    message: str
    log: Sequence[str] = ()  # its last lines

    @property
    def reason(self) -> str:
        """Kind and message in one line."""
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True)
class CellProgress:
    """progress.json: how far a running cell is."""

    step: int
    steps: int


@dataclass(frozen=True)
class ScoreStamp:
    """scores.json: what the score tables were computed from."""

    inputs: str


@dataclass(frozen=True)
class SelectedCheckpoint:
    """selected.json: the checkpoint that was best on a list, and the mean Dice of each candidate."""

    by: str
    every: int
    start: int
    step: int
    dice: Mapping[int, float]


@dataclass(frozen=True)
class Distance:
    """How far synthetic images are from real ones in the features of one extractor."""

    metric: str  # fid or fd
    extractor: str
    reason: str | None = None  # why there is no number
    n: int | None = None  # images a side
    distance: float | None = None
    floor: float | None = None  # of real images against real ones
    kid: float | None = None
    density: float | None = None
    coverage: float | None = None
    label: str | None = None  # of a distance between images of one label
    real: int | None = None
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
    """Which synthetic images nearly equal a training image; rates with their 95% interval."""

    extractor: str
    rate: tuple[float, float, float]
    rate_of_test: tuple[float, float, float] | None  # what honest images would have
    pairs: Sequence[CopiedPair] = ()


@dataclass(frozen=True)
class CurvePoint:
    """The distance of a generator while it was trained."""

    shown: int
    distance: float
    n: int


@dataclass(frozen=True)
class GeneratorCurve:
    """Distances of one generator on the way; `label` is None where it makes images of all labels."""

    label: str | None
    points: Sequence[CurvePoint]


@dataclass(frozen=True)
class Judgement:
    """judged.json: what the reference model and feature extractors say of a cell's images."""

    inputs: str
    n: int = 0  # images a side of a distance
    made: int = 0
    real: int = 0
    distances: Sequence[Distance] = ()
    copies: CopyCounts | None = None
    curves: Sequence[GeneratorCurve] = ()
    masks: Mapping[str, Any] | None = None  # see bench.metrics.mask_plausibility
    agreement: float | None = None  # of the masks, or labels, with what the reference model sees
    normal: Sequence[Distance] = ()  # of pseudo-healthy images to true healthy ones
    reason: str | None = None  # why pseudo-healthy images could not be judged


class CellFolder:
    """The folder of one cell."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def key(self) -> str:
        """The name of the folder."""
        return self.path.name

    @property
    def parts(self) -> Path:
        """Where shared parts of the suite lie."""
        return self.path.parent.parent / "parts"

    def make(self) -> None:
        """Make the folder where it is not there."""
        self.path.mkdir(parents=True, exist_ok=True)

    # --- the job and how it ended

    def read_job(self) -> CellJob | None:
        """What a worker was given."""
        return read_record(self.path / "cell.json", CellJob, REMEDY)

    def expect_job(self) -> CellJob:
        """The same where it must be there. Raises BenchError."""
        content = read_json(self.path / "cell.json")
        return parse_record(content, CellJob, str(self.path / "cell.json"), REMEDY)

    def stated_key(self) -> dict[str, Any]:
        """What cell.json says was run, of whatever layout: for results of other versions."""
        content = read_json(self.path / "cell.json") or {}
        stated = content.get("cell")
        return stated if isinstance(stated, dict) else {}

    def write_job(self, job: CellJob) -> None:
        """Say what a worker shall do, unless it is said already."""
        file = self.path / "cell.json"
        content = plain_data(job)
        if read_json(file) != content:
            write_json(file, content)

    @property
    def has_result(self) -> bool:
        """Whether the cell is done."""
        return (self.path / "result.json").exists()

    @property
    def has_failed(self) -> bool:
        """Whether the cell failed, and is not done."""
        return not self.has_result and (self.path / "failure.json").exists()

    def read_result(self) -> CellResult | None:
        """What a finished cell reports."""
        return read_record(self.path / "result.json", CellResult, REMEDY)

    def write_result(self, result: CellResult) -> None:
        """Say that all other files are there."""
        write_record(self.path / "result.json", result)

    def read_failure(self) -> CellFailure | None:
        """Why the cell failed."""
        return read_record(self.path / "failure.json", CellFailure, REMEDY)

    def write_failure(self, kind: str, message: str) -> None:
        """Say why the cell failed: kind, one line, and the end of its log."""
        tail: list[str] = []
        if self.log.exists():
            tail = self.log.read_text(errors="replace").splitlines()[-50:]
        write_record(self.path / "failure.json", CellFailure(self.key, kind, message[:500], tail))

    def forget_failure(self) -> None:
        """Have a failed cell run again."""
        (self.path / "failure.json").unlink(missing_ok=True)

    def read_progress(self) -> CellProgress | None:
        """How far a running cell is."""
        return read_record(self.path / "progress.json", CellProgress, REMEDY)

    def write_progress(self, progress: CellProgress) -> None:
        """Tell how far it is."""
        write_record(self.path / "progress.json", progress)

    def forget_progress(self) -> None:
        """Drop what an attempt that was killed left."""
        (self.path / "progress.json").unlink(missing_ok=True)

    @property
    def log(self) -> Path:
        """All that the worker printed."""
        return self.path / "log.txt"

    def read_history(self) -> dict[str, list[tuple[int, float]]]:
        """Curves by name: (step, value)."""
        content: dict[str, list[tuple[int, float]]] = read_json(self.path / "history.json") or {}
        return content

    def write_history(self, history: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        """Keep the curves of the training."""
        write_json(self.path / "history.json", history)

    @property
    def model(self) -> Path:
        """The state of the final checkpoint."""
        return self.path / "model.safetensors"

    # --- what it predicted and made

    def predictions(self, which: PredictionSet) -> Path:
        """The folder of one set of predictions: label maps by case, or probabilities.npz."""
        return self.path / "predictions" / which

    @property
    def checkpoints(self) -> Path:
        """Candidates of a selection by step: states, then predictions."""
        return self.path / "checkpoints"

    @property
    def samples(self) -> Path:
        """Synthetic images with masks and labels."""
        return self.path / "samples.npz"

    @property
    def pseudo_healthy_images(self) -> Path:
        """Test images without their lesions."""
        return self.path / "normalised.npz"

    # --- how it scored

    def scores(self, which: PredictionSet) -> Path:
        """The score table of one set of predictions."""
        return self.path / "scores" / f"{which}.csv"

    def score_tables(self) -> list[PredictionSet]:
        """The sets that have a score table."""
        return [which for which in PREDICTION_SETS if self.scores(which).exists()]

    @property
    def held_out_scores(self) -> Path:
        """Scores of a trial on the labelled patients that were held out."""
        return self.path / "selection.csv"

    @property
    def pseudo_healthy_scores(self) -> Path:
        """Scores of pseudo-healthy test images."""
        return self.path / "normality.csv"

    def read_stamp(self) -> ScoreStamp | None:
        """What the score tables were computed from."""
        return read_record(self.path / "scores.json", ScoreStamp, "run 'score'")

    def write_stamp(self, stamp: ScoreStamp) -> None:
        """Say what the score tables were computed from; written after them."""
        write_record(self.path / "scores.json", stamp)

    def read_selected(self) -> SelectedCheckpoint | None:
        """Which checkpoint was best on a list."""
        return read_record(self.path / "selected.json", SelectedCheckpoint, "run 'score'")

    def write_selected(self, selected: SelectedCheckpoint) -> None:
        """Keep which checkpoint was best on a list."""
        write_record(self.path / "selected.json", selected)

    @property
    def judged(self) -> Path:
        """judged.json, which may not be there."""
        return self.path / "judged.json"

    def read_judgement(self) -> Judgement | None:
        """What is known of the images that the cell made."""
        return read_record(self.judged, Judgement, JUDGE_AGAIN)

    def write_judgement(self, judgement: Judgement) -> None:
        """Keep what is known of the images that the cell made."""
        write_record(self.judged, judgement)

    def clear(self) -> None:
        """Remove what an unfinished or failed attempt left; for the process that holds the claim."""
        for entry in self.path.iterdir():
            # Dots: another launch is writing.
            if entry.name in ("claim", "cell.json") or entry.name.startswith("."):
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
