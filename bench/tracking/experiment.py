"""The experiment of one suite in MLflow, and the runs of one result folder in it."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import hashing
from bench.cell_folder import PREDICTION_SETS, CellFolder
from bench.cell_records import unusable_curves
from bench.errors import BenchError
from bench.files.records import plain_data
from bench.names import cell_label
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import StudyFacts, planned_metrics, read_plan
from bench.store import Store
from bench.tracking.connection import client_class, locked
from bench.tracking.content import (
    cell_metrics,
    cell_params,
    nested_params,
    trial_metrics,
)
from bench.tracking.folder_identity import folder_identity
from bench.tuning.history import trials_of
from bench.tuning.search import winner
from bench.tuning.study import study_label
from bench.tuning.study_folder import Trial

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param, Run

log = logging.getLogger(__name__)
KEY, COMPLETE, STUDY = "scarcebench.key", "scarcebench.complete", "scarcebench.study"
FOLDER, FOLDER_NAME = "scarcebench.folder", "scarcebench.folder_name"
LEFT_OUT = "scarcebench.left_out"
KIND, KIND_OF_RUNS = "mlflow.experimentKind", "custom_model_development"  # the UI opens on the runs
LAYOUT = 4  # raise it when a run is to hold something else: `sync` then writes all runs again
BATCH_METRICS = 1000  # most that MLflow takes in one log_batch
BATCH_PARAMS = 100
PAGE_RUNS = 50000  # most that MLflow gives in one page
REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
# Artifacts of a cell; the first one tells when the cell ended.
FILES: Mapping[str, tuple[str, ...]] = {
    "done": (
        "result.json",
        *(f"scores/{which}.csv" for which in PREDICTION_SETS),
        "selected.json",
        "judged.json",
        "history.json",
        "log.txt",
        "normality.csv",
    ),
    # No scores: the leaderboard counts a failed cell as worst, MLflow shows FAILED.
    "failed": ("failure.json", "log.txt"),
}


@dataclass(frozen=True)
class FinishedCell:
    """What one run of MLflow is made of: a cell of the plan and the files it left."""

    cell: PlannedCell
    folder: CellFolder
    state: str  # done or failed
    files: Mapping[str, Path]
    digest: str  # of all that is mirrored


@dataclass(frozen=True)
class RunContent:
    """A run of MLflow before it is written."""

    tags: dict[str, str]
    points: list[Metric]
    left_out: list[str]  # curves
    started_ms: int
    ended_ms: int


class Mirror:
    """The runs of one result folder in the experiment of its suite. Raises what MLflow raises.

    `note_answer` is called whenever MLflow has answered.
    """

    def __init__(
        self,
        store: Store,
        uri: str | None = None,
        note_answer: Callable[[], None] = lambda: None,
    ) -> None:
        self.store = store
        self.note_answer = note_answer
        self._read_plan()
        self.root = store.out.parent.resolve()
        default_uri = f"sqlite:///{self.root / 'mlflow.db'}"
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri
        self.identity = folder_identity(store.out)
        client = client_class()
        # Of two processes that make the tables of a new database at once, one fails.
        with self._lock():
            self.client = client(self.uri)
            self.experiment = self._find_experiment(self.plan.header.name)
        self.note_answer()
        self.known: dict[str | None, str | None] = {}
        runs = self._find_runs()
        counts = Counter(run.data.tags.get(KEY) for run in runs)
        for run in runs:
            key = run.data.tags.get(KEY)
            # Restoring an experiment brings replaced runs back: what is there twice is due again.
            self.known[key] = run.data.tags.get(COMPLETE) if counts[key] == 1 else None

    def _read_plan(self) -> None:
        self.plan = read_plan(self.store.out)
        # A tuned cell whose settings came out as the defaults is the default cell.
        self.cells = {cell.key: cell for cell in reversed(self.plan.cells) if not cell.refusal}
        self.metrics = planned_metrics(self.plan, self.store.plugins)

    def write_all(self) -> int:
        """Write what is finished and not there yet; returns the number of runs written."""
        self._read_plan()  # anew: tuning chose settings since
        cells = sum(self.write(key) for key in self.cells)
        trials = sum(self.write_study(study) for study in self.plan.studies)
        return cells + trials

    def write_study(self, study: StudyFacts) -> int:
        """A run for a study with a child run for each trial, where that is due.

        Returns the number of runs written.
        """
        trials = trials_of(self.store, self.plan, study)
        digest = hashing.digest([LAYOUT, study.id, list(map(plain_data, trials))])
        key = f"study {study.id}"
        if not trials or self.known.get(key) == digest:
            return 0
        with self._lock():
            # Again: another launch may have written it by now.
            runs = self._find_runs(f"tags.`{STUDY}` = '{study.id}'")
            parents = [run for run in runs if run.data.tags.get(KEY) == key]
            due = [run.data.tags.get(COMPLETE) for run in parents] != [digest]
            if due:
                for run in runs:
                    self.client.delete_run(run.info.run_id)
                self._write_trials(study, key, trials, digest)
        self.known[key] = digest
        return due * (1 + len(trials))

    def _write_trials(
        self, study: StudyFacts, key: str, trials: Sequence[Trial], digest: str
    ) -> None:
        parent = self._create_run({KEY: key, STUDY: study.id}, f"tuning of {study_label(study)}")
        for trial in trials:
            self._write_trial(study.id, parent, trial)
        best = winner(trials)
        if best is not None and best.value is not None:
            self.client.log_metric(parent, "best", best.value)
        self.client.set_terminated(parent, "FINISHED")
        self.client.set_tag(parent, COMPLETE, digest)

    def _write_trial(self, study_id: str, parent: str, trial: Trial) -> None:
        tags = {
            STUDY: study_id,
            "mlflow.parentRunId": parent,
            "scarcebench.status": trial.state,
        }
        run = self._create_run(tags, f"trial {trial.number}")
        points = trial_metrics(trial)
        settings = nested_params(trial.params)
        self.client.log_batch(run, metrics=points, params=settings, synchronous=True)
        status = "FAILED" if trial.state == "failed" else "FINISHED"
        self.client.set_terminated(run, status)

    def write(self, key: str) -> bool:
        """Bring one cell up to date; False where it is already, or where it is not finished.

        A cell with a damaged file is named in a warning and left out.
        """
        if key not in self.cells:
            self._read_plan()  # a tuned cell got its settings, and so its key, on the way
        finished = self._find_finished(key)
        if finished is None or self.known.get(key) == finished.digest:
            return False
        try:
            content = self._content_of(finished)
        except BenchError as problem:
            log.warning("not mirrored: %s: %s", cell_label(finished.cell), problem)
            return False
        with self._lock():
            # Again: another launch may have written it by now.
            runs = self._find_runs(f"tags.`{KEY}` = '{key}'")
            due = [run.data.tags.get(COMPLETE) for run in runs] != [finished.digest]
            if due:
                # Params cannot change and metrics would pile up: an outdated run is replaced.
                for run in runs:
                    self.client.delete_run(run.info.run_id)
                self._write_cell(finished, content)
        self.known[key] = finished.digest
        return due

    def _content_of(self, finished: FinishedCell) -> RunContent:
        """What the files of a cell say. Raises BenchError where one is damaged."""
        folder = finished.folder
        result = folder.read_result()
        first_file = next(iter(finished.files.values()))
        ended_ms = int(1000 * first_file.stat().st_mtime)
        seconds = result.cost.cell_seconds if result and result.cost else 0.0
        points: list[Metric] = []
        left_out: list[str] = []
        if finished.state == "done":
            points = cell_metrics(folder, finished.cell.task, self.metrics, ended_ms)
            left_out = unusable_curves(folder.read_history())
        started_ms = ended_ms - int(1000 * seconds)
        return RunContent(self._tags(finished), points, left_out, started_ms, ended_ms)

    def _write_cell(self, finished: FinishedCell, content: RunContent) -> None:
        label = cell_label(finished.cell)
        run = self._create_run(content.tags, label, content.started_ms)
        self._log_params(run, cell_params(finished.cell))
        left_out = [*content.left_out, *self._log_metrics(run, content.points)]
        if left_out:
            names = ", ".join(left_out)[:400]
            log.warning("curves that MLflow cannot take: %s: %s", label, names)
            self.client.set_tag(run, LEFT_OUT, names)
        for name, file in finished.files.items():
            subfolder = name.rpartition("/")[0] or None
            self.client.log_artifact(run, str(file), subfolder)
            self.note_answer()
        status = "FINISHED" if finished.state == "done" else "FAILED"
        self.client.set_terminated(run, status, end_time=content.ended_ms)
        # Last: a run without it was cut short.
        self.client.set_tag(run, COMPLETE, finished.digest)
        self.note_answer()

    def _log_params(self, run: str, params: list[Param]) -> None:
        for start in range(0, len(params), BATCH_PARAMS):
            batch = params[start : start + BATCH_PARAMS]
            self.client.log_batch(run, params=batch, synchronous=True)
            self.note_answer()

    def _log_metrics(self, run: str, points: list[Metric]) -> list[str]:
        """Returns the names of curves that MLflow refuses: a bad one costs none of the others."""
        refused: dict[str, None] = {}
        for start in range(0, len(points), BATCH_METRICS):
            batch = points[start : start + BATCH_METRICS]
            if self._is_refused(run, batch):
                for name in dict.fromkeys(point.key for point in batch):
                    curve = [point for point in batch if point.key == name]
                    if self._is_refused(run, curve):
                        refused[name] = None
        return list(refused)

    def _is_refused(self, run: str, points: list[Metric]) -> bool:
        """Log some points; True where MLflow says that they are not valid."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.log_batch(run, metrics=points, synchronous=True)
        except MlflowException as problem:
            if problem.error_code not in REFUSALS:
                raise
            return True
        finally:
            self.note_answer()
        return False

    def _create_run(self, tags: dict[str, str], name: str, started_ms: int | None = None) -> str:
        own = {FOLDER: self.identity, FOLDER_NAME: self.store.out.resolve().name}
        run = self.client.create_run(self.experiment, started_ms, {**tags, **own}, name)
        self.note_answer()
        return str(run.info.run_id)

    def _tags(self, finished: FinishedCell) -> dict[str, str]:
        cell = finished.cell
        tags = {
            "key": cell.key,
            "split": cell.split,
            "commit": self.plan.provenance.get("commit", "unknown"),
            "status": finished.state,
        }
        failure = finished.folder.read_failure()
        if failure is not None:
            tags["reason"] = failure.reason
        return {f"scarcebench.{name}": value for name, value in tags.items()}

    def _find_finished(self, key: str) -> FinishedCell | None:
        state = self.store.state(key)
        if state not in FILES or key not in self.cells:
            return None
        cell = self.cells[key]
        folder = self.store.cell(key)
        files = {}
        hashes = {}
        for name in FILES[state]:
            file = folder.path / name
            if file.exists():
                files[name] = file
                hashes[name] = hashlib.sha256(file.read_bytes()).hexdigest()
        digest = hashing.digest([LAYOUT, cell_label(cell), state, hashes])
        return FinishedCell(cell, folder, state, files, digest)

    def _find_experiment(self, name: str) -> str:
        """The id of the experiment of a suite: made where there is none, restored if deleted."""
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            # A server has a place of its own for artifacts.
            place = None if self.uri.startswith("http") else (self.root / "mlartifacts").as_uri()
            tags = {KIND: KIND_OF_RUNS}
            return str(self.client.create_experiment(name, artifact_location=place, tags=tags))
        number = str(experiment.experiment_id)
        if experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(number)
        if KIND not in experiment.tags:  # another value is the user's choice
            self.client.set_experiment_tag(number, KIND, KIND_OF_RUNS)
        return number

    def _find_runs(self, query: str = "") -> list[Run]:
        """The runs of this folder: another folder of the same suite has runs of its own."""
        wanted = f"tags.`{FOLDER}` = '{self.identity}'"
        if query:
            wanted = f"{wanted} AND {query}"
        runs = list(self.client.search_runs([self.experiment], wanted, max_results=PAGE_RUNS))
        self.note_answer()
        return runs

    @contextmanager
    def _lock(self) -> Iterator[None]:
        database = self.uri.removeprefix("sqlite:///")
        file = self.store.out / "mlflow.lock"
        if database != self.uri:
            file = Path(f"{database}.lock")
        with locked(file):
            self.note_answer()
            yield
