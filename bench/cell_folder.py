"""Every file of a cell: its name, type, reader and writer. No other module opens these files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from bench.cell_records import (
    CellFailure,
    CellInterruption,
    CellJob,
    CellProgress,
    CellResult,
    Judgement,
    PredictionSet,
    ScoreStamp,
    SelectedCheckpoint,
)
from bench.errors import BenchError, cut
from bench.files.digests import (
    DIGESTS,
    FileDigest,
    FolderDigests,
    digests_of,
    is_whole_in,
    write_digests,
)
from bench.files.leases import LEASE
from bench.files.long_logs import cut_middle
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

RUN_AGAIN = "remove the folder of this cell and give its suite to 'run' again"
SCORE_AGAIN = "remove the file and run 'score'"
JUDGE_AGAIN = "remove the file and run 'report'"
LOG_BYTES = 2_000_000  # of a log, at most
LOG_END_BYTES = 50_000  # that stay where the middle is cut out

SETTLED = "settled"  # which attempt put its results in place; see bench.execution.attempts

# What a cell holds besides the work of its worker, which digests.json describes.
NOT_OF_THE_WORK = (
    "claim",
    LEASE,
    SETTLED,
    "cell.json",
    "failure.json",
    "progress.json",
    "log.txt",
    "result.json",
    DIGESTS,
)

BOARD_FILE = "board.toml"  # in the folder of a suite whose results are published
State = Literal["done", "failed", "running", "missing"]
# last: of the final checkpoint. best: of the checkpoint that a suite selects, as papers do.
# augmented: of the shared segmenter that was trained on synthetic images too.
PREDICTION_SETS: tuple[PredictionSet, ...] = ("last", "best", "augmented")


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

    def relative(self, file: Path) -> Path:
        """A path as seen from the folder of the cell."""
        return Path(os.path.relpath(file.resolve(), self.path.resolve()))

    def make(self) -> None:
        """Create the folder if it does not exist."""
        self.path.mkdir(parents=True, exist_ok=True)

    # --- the job and how it ended

    def read_job(self) -> CellJob | None:
        """What a worker was given, or None."""
        return read_record(self.path / "cell.json", CellJob, RUN_AGAIN)

    def expect_own(self, name: str, key: str) -> None:
        """Raise BenchError for a file of another cell: folders that changed places swap scores."""
        if key != self.key:
            raise BenchError(f"{self.path / name} is of cell {cut(key)}, not of this; {RUN_AGAIN}")

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
        return os.path.exists(os.path.join(self.path, "result.json"))  # noqa: PTH110, PTH118

    @property
    def has_failed(self) -> bool:
        """Whether the cell failed, and is not done."""
        return not self.has_result and (self.path / "failure.json").exists()

    def read_result(self) -> CellResult | None:
        """What a finished cell reports, or None. Raises BenchError for one of another cell."""
        result = read_record(self.path / "result.json", CellResult, RUN_AGAIN)
        if result is not None:
            self.expect_own("result.json", result.key)
        return result

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

    def remove_links(self) -> None:
        """Remove links, pipes and the like, which a method may have left: all else are results.

        Commands refuse a result folder that has any.
        """
        for entry in self.path.rglob("*"):
            is_kept = entry.is_file() or entry.is_dir()
            if entry.is_symlink() or not is_kept:
                entry.unlink(missing_ok=True)

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
        return all(is_whole_in(self.path, name, digest) for name, digest in files.items())

    def read_failure(self) -> CellFailure | None:
        """Why the cell failed, or None. Raises BenchError for one of another cell."""
        failure = read_record(self.path / "failure.json", CellFailure, RUN_AGAIN)
        if failure is not None:
            self.expect_own("failure.json", failure.key)
        return failure

    def write_failure(self, kind: str, message: str) -> None:
        """Record why the cell failed: the kind, one line, and the end of its log.

        Of a published board without the log, which names folders of the machine.
        """
        tail: list[str] = []
        if self.log.exists() and not self.is_published:
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

    def shown_progress(self) -> CellProgress | None:
        """How far a running cell is, or None: a method may have garbled the file."""
        try:
            return self.read_progress()
        except BenchError:
            return None

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
        cut_middle(self.log, LOG_BYTES, LOG_END_BYTES)

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

    @property
    def lacks_predictions(self) -> bool:
        """Whether it was published without its predictions: its score tables stand for them."""
        if not self.has_result or self.predictions("last").exists():
            return False
        return self.is_published

    @property
    def is_published(self) -> bool:
        """Whether it is of a published board, whose files name no folder of the machine."""
        return (self.path.parent.parent / BOARD_FILE).exists()

    # --- how it scored

    def scores(self, which: PredictionSet) -> Path:
        """The score table of one set of predictions."""
        return self.path / "scores" / f"{which}.csv"

    def score_tables(self) -> list[PredictionSet]:
        """The sets that have a score table."""
        try:
            names = {entry.name for entry in os.scandir(self.path / "scores")}
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [which for which in PREDICTION_SETS if f"{which}.csv" in names]

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
        kept = ["claim", LEASE, SETTLED, "cell.json"]
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
