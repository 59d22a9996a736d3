"""Every file of a cell: its name, type, reader and writer. No other module opens these files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from bench import hashing
from bench.api import Card, Spec, Task
from bench.errors import BenchError
from bench.files.digests import (
    DIGESTS,
    FileDigest,
    FolderDigests,
    digests_of,
    is_whole,
    write_digests,
)
from bench.files.records import (
    is_sealed,
    plain_data,
    read_json,
    read_record,
    read_sealed,
    write_json,
    write_record,
    write_sealed,
)
from bench.names import EXTERNAL

PROTOCOL = "1"  # raise it when a rule of the protocol or of scoring changes what a result means
RUN_AGAIN = "remove the folder of this cell and give its suite to 'run' again"
SCORE_AGAIN = "remove the file and run 'score'"
JUDGE_AGAIN = "remove the file and run 'report'"
LOG_BYTES = 2_000_000  # of a log, at most
LOG_END_BYTES = 50_000  # that stay where the middle is cut out

# What a cell holds besides the work of its worker, which digests.json describes.
NOT_OF_THE_WORK = (
    "claim",
    "cell.json",
    "failure.json",
    "progress.json",
    "log.txt",
    "result.json",
    DIGESTS,
)

State = Literal["done", "failed", "running", "missing"]
PredictionSet = Literal["last", "best", "augmented"]
# last: of the final checkpoint. best: of the checkpoint that a suite selects, as papers do.
# augmented: of the shared segmenter that was trained on synthetic images too.
PREDICTION_SETS: tuple[PredictionSet, ...] = ("last", "best", "augmented")


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
    cache: str = ""  # the folder of the decoded images
    weights: str | None = None  # the file with weights of the suite's network
    device: str = "auto"
    pseudo_healthy: bool = False  # the method removes lesions from images
    plugins: Sequence[str] = ()  # files
    plugin_code: str | None = None  # hash of the plug-in that brings the method, if one does
    keep_model: bool = False
    checkpoint_s: float = 300.0  # of training, between two states that a killed one goes on from
    spec: Spec | None = None
    card: Card | None = None


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

    metric: str  # fid or fd
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
        """The folder of the suite's shared parts."""
        return self.path.parent.parent / "parts"

    def make(self) -> None:
        """Create the folder if it does not exist."""
        self.path.mkdir(parents=True, exist_ok=True)

    # --- the job and how it ended

    def read_job(self) -> CellJob | None:
        """What a worker was given, or None."""
        return read_record(self.path / "cell.json", CellJob, RUN_AGAIN)

    def expect_job(self) -> CellJob:
        """What a worker was given. Raises BenchError if there is no cell.json."""
        job = self.read_job()
        if job is None:
            raise BenchError(f"{self.path} holds no cell.json; {RUN_AGAIN}")
        return job

    def stated_key(self) -> dict[str, Any]:
        """The key in cell.json as plain data; empty if another version wrote the file."""
        content = read_json(self.path / "cell.json")
        if not isinstance(content, dict) or not isinstance(content.get("cell"), dict):
            return {}
        return dict(content["cell"])

    def write_job(self, job: CellJob) -> None:
        """Say what a worker is to do; an equal file is left alone."""
        file = self.path / "cell.json"
        content = plain_data(job)
        if not is_sealed(file) or read_sealed(file, RUN_AGAIN) != content:
            write_sealed(file, content)

    @property
    def has_result(self) -> bool:
        """Whether the cell is done."""
        return (self.path / "result.json").exists()

    @property
    def has_failed(self) -> bool:
        """Whether the cell failed, and is not done."""
        return not self.has_result and (self.path / "failure.json").exists()

    def read_result(self) -> CellResult | None:
        """What a finished cell reports, or None."""
        return read_record(self.path / "result.json", CellResult, RUN_AGAIN)

    def write_result(self, result: CellResult) -> None:
        """Mark the cell as finished; to be called when all its other files are written."""
        write_digests(self.path, digests_of(self.path, self._files_of_the_work()))
        write_record(self.path / "result.json", result)

    def _files_of_the_work(self) -> list[Path]:
        files = []
        for file in self.path.rglob("*"):
            inside = file.relative_to(self.path).parts
            if inside[0] not in NOT_OF_THE_WORK and not inside[0].startswith("."):
                files.append(file)
        return [file for file in files if file.is_file()]

    def forget_result(self) -> None:
        """Take the mark of a finished cell away, so that it runs again."""
        (self.path / "result.json").unlink(missing_ok=True)

    # --- whether files are as they were written

    @property
    def has_whole_job(self) -> bool:
        """Whether cell.json is there as it was written."""
        return is_sealed(self.path / "cell.json")

    @property
    def has_whole_result(self) -> bool:
        """Whether result.json is there as it was written."""
        return is_sealed(self.path / "result.json")

    @property
    def work(self) -> FolderDigests:
        """The files that the worker left, as they were written."""
        return FolderDigests(self.path, RUN_AGAIN)

    def digests_of(self, files: Iterable[Path]) -> dict[str, FileDigest]:
        """The digests of some files by their path in the cell."""
        return dict(digests_of(self.path, files).files)

    def are_whole(self, files: Mapping[str, FileDigest]) -> bool:
        """Whether all files with these digests are as they were written."""
        return all(is_whole(self.path / name, digest) for name, digest in files.items())

    def read_failure(self) -> CellFailure | None:
        """Why the cell failed, or None."""
        return read_record(self.path / "failure.json", CellFailure, RUN_AGAIN)

    def write_failure(self, kind: str, message: str) -> None:
        """Record why the cell failed: the kind, one line, and the end of its log."""
        tail: list[str] = []
        if self.log.exists():
            tail = self.log.read_text(errors="replace").splitlines()[-50:]
        write_record(self.path / "failure.json", CellFailure(self.key, kind, message[:500], tail))

    def read_interruption(self) -> CellInterruption | None:
        """Why the machine could not finish the cell, or None."""
        return read_record(self.path / "interrupted.json", CellInterruption, RUN_AGAIN)

    def write_interruption(self, kind: str, message: str) -> None:
        """Record why the machine could not finish the cell."""
        interruption = CellInterruption(kind, message[:500])
        write_record(self.path / "interrupted.json", interruption)

    def forget_interruption(self) -> None:
        """Remove what the machine did to an earlier launch."""
        (self.path / "interrupted.json").unlink(missing_ok=True)

    def forget_failure(self) -> None:
        """Remove the failure, so that the cell runs again."""
        (self.path / "failure.json").unlink(missing_ok=True)

    def read_progress(self) -> CellProgress | None:
        """How far a running cell is, or None before its first step."""
        return read_record(self.path / "progress.json", CellProgress, RUN_AGAIN)

    def write_progress(self, progress: CellProgress) -> None:
        """Record how far the cell is."""
        write_record(self.path / "progress.json", progress)

    def forget_progress(self) -> None:
        """Remove what an attempt that was killed left behind."""
        (self.path / "progress.json").unlink(missing_ok=True)

    @property
    def log(self) -> Path:
        """All that the worker printed, as far as `cap_log` leaves it."""
        return self.path / "log.txt"

    def cap_log(self) -> None:
        """Cut the middle out of a log that is too long; a process may still write to its end."""
        try:
            size = self.log.stat().st_size
        except OSError:
            return
        if size <= LOG_BYTES:
            return
        with self.log.open("r+b") as file:
            file.seek(size - LOG_END_BYTES)
            end = file.read(LOG_END_BYTES)
            file.truncate(LOG_BYTES // 2)
            file.seek(0, os.SEEK_END)
            file.write(f"\n[cut here: the log was longer than {LOG_BYTES} bytes]\n".encode())
            file.write(end)

    def read_history(self) -> dict[str, list[tuple[int, float]]]:
        """Curves of the training by name, as (step, value); empty if there are none.

        Raises BenchError if those of a finished cell were changed since.
        """
        file = self.path / "history.json"
        if self.has_result and file.exists():
            self.work.check(file)
        content: dict[str, list[tuple[int, float]]] = read_json(file, RUN_AGAIN) or {}
        return content

    def write_history(self, history: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        """Keep the curves of the training by name, as (step, value)."""
        write_json(self.path / "history.json", history)

    @property
    def model(self) -> Path:
        """The state of the final checkpoint."""
        return self.path / "model.safetensors"

    @property
    def snapshot(self) -> Path:
        """The state of an unfinished training; with a dot, so that `clear` leaves it."""
        return self.path / ".training.snapshot"

    # --- what it predicted and made

    def predictions(self, which: PredictionSet) -> Path:
        """The folder of one set of predictions: a label map for each case, or probabilities.npz."""
        return self.path / "predictions" / which

    @property
    def checkpoints(self) -> Path:
        """Candidates of a selection, a folder for each step: states, later predictions."""
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
        """What the score tables were computed from, or None."""
        return read_record(self.path / "scores.json", ScoreStamp, SCORE_AGAIN)

    def whole_stamp(self) -> ScoreStamp | None:
        """The stamp of score tables that are all as they were written, else None."""
        try:
            stamp = self.read_stamp()
        except BenchError:
            return None
        if stamp is None or not stamp.tables or not self.are_whole(stamp.tables):
            return None
        return stamp

    def write_stamp(self, stamp: ScoreStamp) -> None:
        """Record what the score tables were computed from; to be called after they are written."""
        write_record(self.path / "scores.json", stamp)

    @property
    def selected(self) -> Path:
        """selected.json, which may not exist."""
        return self.path / "selected.json"

    def read_selected(self) -> SelectedCheckpoint | None:
        """Which checkpoint was best on a list, or None."""
        return read_record(self.selected, SelectedCheckpoint, SCORE_AGAIN)

    def write_selected(self, selected: SelectedCheckpoint) -> None:
        """Record which checkpoint was best on a list."""
        write_record(self.selected, selected)

    @property
    def judged(self) -> Path:
        """judged.json, which may not exist."""
        return self.path / "judged.json"

    def read_judgement(self) -> Judgement | None:
        """What is known about the images that the cell made, or None."""
        return read_record(self.judged, Judgement, JUDGE_AGAIN)

    def write_judgement(self, judgement: Judgement) -> None:
        """Record what is known about the images that the cell made."""
        write_record(self.judged, judgement)

    def clear(self, goes_on: bool = False) -> None:
        """Remove what an earlier attempt left; only the process that holds the claim may do so.

        A training that `goes_on` keeps its log and its candidates of a selection.
        """
        kept = ["claim", "cell.json"]
        if goes_on:
            kept += [self.log.name, self.checkpoints.name]
        for entry in self.path.iterdir():
            # A name with a dot: another launch is writing cell.json.
            if entry.name in kept or entry.name.startswith("."):
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
