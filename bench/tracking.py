"""Mirrors finished results into MLflow.

The folder is the truth: what does not reach MLflow, the next `sync` brings there.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from bench import hashing, registry
from bench.cell_folder import PREDICTION_SETS, CellFolder
from bench.errors import BenchError
from bench.metrics.case_metric import CaseMetric
from bench.names import cell_label
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import StudyFacts, read_plan
from bench.records import plain_data
from bench.scoring.tables import LABEL_METRICS, mean_of, read_scores
from bench.store import Store
from bench.tuning.search import winner
from bench.tuning.study import study_label
from bench.tuning.study_folder import Trial
from bench.tuning.trials import read_trials

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, Run

log = logging.getLogger("bench.tracking")
KEY, COMPLETE, STUDY = "scarcebench.key", "scarcebench.complete", "scarcebench.study"
LAYOUT = 3  # raise it when a run is to hold something else: `sync` then writes all runs again
BATCH_METRICS = 1000  # most that MLflow takes in one log_batch
BATCH_PARAMS = 100
PAGE_RUNS = 50000  # most that MLflow gives in one page
LONGEST_NAME = 240
LONGEST_PARAM = 6000  # characters
CLOSE_TIMEOUT_S = 60.0
LOCK_TIMEOUT_S = 45.0
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
# Unless the user has set them; with MLflow's own values a server that is down costs minutes.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def sync(store: Store, uri: str | None = None) -> int:
    """Bring all finished cells of the plan into MLflow; returns how many runs were written.

    Raises BenchError.
    """
    try:
        return Mirror(store, uri).write_all()
    except BenchError:
        raise
    except Exception as problem:  # MLflow, its database and the network each have their own
        raise BenchError(
            f"MLflow: {reason(problem)}; results are complete; see MLFLOW_TRACKING_URI"
        ) from None


@contextmanager
def mirror(store: Store, uri: str | None = None) -> Iterator[Callable[[str], None]]:
    """Mirrors each key it is handed while a suite runs, and the rest at the end.

    Any trouble is one warning.
    """
    if os.environ.get("SCARCEBENCH_MLFLOW") == "off":
        yield lambda key: None
        return
    follower = Follower(store, uri)
    try:
        yield follower.tell
    except BaseException:
        follower.over.set()  # stopped, by the user or by an error: neither wait nor warn
        raise
    follower.close()


class Follower:
    """A thread that mirrors what it is told; it starts with the first cell, so as to delay none."""

    def __init__(self, store: Store, uri: str | None) -> None:
        self.store = store
        self.uri = uri
        self.told: SimpleQueue[str | None] = SimpleQueue()
        self.over = threading.Event()  # nothing more is to be said
        self.thread = threading.Thread(target=self._follow, daemon=True, name="mlflow mirror")

    def tell(self, key: str | None) -> None:
        """Have a finished cell mirrored soon; None says that no more follow."""
        self.told.put(key)
        if self.thread.ident is None:
            # Scoring and MLflow share scipy; where two threads import one package at once, one of
            # them may see half of it.
            import scipy.ndimage
            import scipy.spatial  # noqa: F401

            self.thread.start()

    def close(self) -> None:
        """Wait for the rest, but not for ever."""
        self.tell(None)
        self.thread.join(CLOSE_TIMEOUT_S)
        if self.thread.is_alive():
            self._warn(f"not ready after {CLOSE_TIMEOUT_S:.0f} s")

    def _follow(self) -> None:
        try:
            target = Mirror(self.store, self.uri)
            while (key := self.told.get()) is not None:
                target.write(key)
            target.write_all()
        except Exception as problem:
            self._warn(reason(problem))

    def _warn(self, text: str) -> None:
        if not self.over.is_set():
            self.over.set()
            later = f"results are complete; 'sync {self.store.out}' brings them later"
            log.warning("MLflow mirror off: %s; %s", text, later)


def reason(problem: Exception) -> str:
    """The first sentence of an exception, without passwords."""
    line = re.sub(r"//[^/@\s]+@", "//***@", " ".join(str(problem).split()))
    first = re.split(r"(?<=\w)\. ", line)[0].rstrip(".") or type(problem).__name__
    # The cause is often at the end.
    return first if len(first) < 240 else f"{first[:120]} ... {first[-120:]}"


@dataclass(frozen=True)
class FinishedCell:
    """What one run of MLflow is made of: a cell of the plan and the files it left."""

    cell: PlannedCell
    folder: CellFolder
    state: str  # done or failed
    files: Mapping[str, Path]
    digest: str  # of all that is mirrored


class Mirror:
    """The experiment of one suite. Raises what MLflow raises."""

    def __init__(self, store: Store, uri: str | None = None) -> None:
        plan = read_plan(store.out)
        self.store = store
        self.plan = plan
        # A tuned cell whose settings came out as the defaults is the default cell.
        self.cells = {cell.key: cell for cell in reversed(plan.cells) if not cell.refusal}
        self.metrics = registry.case_metrics(plan.suite.metrics)
        self.root = store.out.parent.resolve()
        default_uri = f"sqlite:///{self.root / 'mlflow.db'}"
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri
        # Of two processes that make the tables of a new database at once, one fails.
        with self._lock():
            self.client = _client(self.uri)
            self.experiment = self._find_experiment(plan.header.name)
        self.known: dict[str | None, str | None] = {}
        for run in self._find_runs(""):
            self.known[run.data.tags.get(KEY)] = run.data.tags.get(COMPLETE)

    def write_all(self) -> int:
        """Write what is finished and not there yet; returns the number of runs written."""
        cells = sum(self.write(key) for key in self.cells)
        trials = sum(self.write_study(study) for study in self.plan.studies)
        return cells + trials

    def write_study(self, study: StudyFacts) -> int:
        """A run for a study with a child run for each trial, where that is due.

        Returns the number of runs written.
        """
        trials = read_trials(self.store, study.id)[: self.plan.trials]
        digest = hashing.digest([LAYOUT, study.id, list(map(plain_data, trials))])
        key = f"study {study.id}"
        if not trials or self.known.get(key) == digest:
            return 0
        with self._lock():
            for run in self._find_runs(f"tags.`{STUDY}` = '{study.id}'"):
                self.client.delete_run(run.info.run_id)
            parent = self._create_run(
                {KEY: key, STUDY: study.id}, f"tuning of {study_label(study)}"
            )
            for trial in trials:
                self._write_trial(study.id, parent, trial)
            best = winner(trials)
            if best is not None and best.value is not None:
                self.client.log_metric(parent, "best", best.value)
            self.client.set_terminated(parent, "FINISHED")
            self.client.set_tag(parent, COMPLETE, digest)
        self.known[key] = digest
        return 1 + len(trials)

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
        """Bring one cell up to date; False where it is already, or where it is not finished."""
        finished = self._find_finished(key)
        if finished is None or self.known.get(key) == finished.digest:
            return False
        with self._lock():
            # Again: another launch may have written it by now.
            runs = self._find_runs(f"tags.`{KEY}` = '{key}'")
            due = [run.data.tags.get(COMPLETE) for run in runs] != [finished.digest]
            if due:
                # Params cannot change and metrics would pile up: an outdated run is replaced.
                for run in runs:
                    self.client.delete_run(run.info.run_id)
                self._write_cell(finished)
        self.known[key] = finished.digest
        return due

    def _write_cell(self, finished: FinishedCell) -> None:
        result = finished.folder.read_result()
        first_file = next(iter(finished.files.values()))
        ended_ms = int(1000 * first_file.stat().st_mtime)
        seconds = result.cost.cell_seconds if result and result.cost else 0.0
        started_ms = ended_ms - int(1000 * seconds)
        run = self._create_run(self._tags(finished), cell_label(finished.cell), started_ms)
        self._log_params(run, cell_params(finished.cell))
        if finished.state == "done":
            task = finished.cell.task
            self._log_metrics(run, cell_metrics(finished.folder, task, self.metrics, ended_ms))
        for name, file in finished.files.items():
            subfolder = name.rpartition("/")[0] or None
            self.client.log_artifact(run, str(file), subfolder)
        status = "FINISHED" if finished.state == "done" else "FAILED"
        self.client.set_terminated(run, status, end_time=ended_ms)
        # Last: a run without it was cut short.
        self.client.set_tag(run, COMPLETE, finished.digest)

    def _log_params(self, run: str, params: list[Param]) -> None:
        for start in range(0, len(params), BATCH_PARAMS):
            batch = params[start : start + BATCH_PARAMS]
            self.client.log_batch(run, params=batch, synchronous=True)

    def _log_metrics(self, run: str, points: list[Metric]) -> None:
        for start in range(0, len(points), BATCH_METRICS):
            batch = points[start : start + BATCH_METRICS]
            self.client.log_batch(run, metrics=batch, synchronous=True)

    def _create_run(self, tags: dict[str, str], name: str, started_ms: int | None = None) -> str:
        run = self.client.create_run(self.experiment, started_ms, tags, name)
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
        """The id of the experiment of a suite, made where there is none."""
        experiment = self.client.get_experiment_by_name(name)
        if experiment is not None:
            number = str(experiment.experiment_id)
            if experiment.lifecycle_stage == "deleted":
                self.client.restore_experiment(number)
            return number
        # A server has a place of its own for artifacts.
        artifacts = None if self.uri.startswith("http") else (self.root / "mlartifacts").as_uri()
        tags = {"mlflow.experimentKind": "custom_model_development"}  # the UI opens on the runs
        made = self.client.create_experiment(name, artifact_location=artifacts, tags=tags)
        return str(made)

    def _find_runs(self, query: str) -> list[Run]:
        return list(self.client.search_runs([self.experiment], query, max_results=PAGE_RUNS))

    @contextmanager
    def _lock(self) -> Iterator[None]:
        database = self.uri.removeprefix("sqlite:///")
        file = self.store.out / "mlflow.lock"
        if database != self.uri:
            file = Path(f"{database}.lock")
        with file.open("a") as held:
            _wait_for_lock(held.fileno(), file)
            yield


def _wait_for_lock(handle: int, file: Path) -> None:
    """Take the lock. Raises BenchError if another process holds it for LOCK_TIMEOUT_S."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BenchError(
                    f"{file} has been held by another process for {LOCK_TIMEOUT_S:.0f} s; "
                    "results are complete; 'sync' again once it has ended"
                ) from None
            time.sleep(0.1)


def _client(uri: str) -> MlflowClient:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for chatter in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(chatter).setLevel(logging.ERROR)
    return MlflowClient(uri)


def cell_params(cell: PlannedCell) -> list[Param]:
    """All that the plan says of a cell; nested names are joined by dots."""
    content = plain_data(cell)
    del content["refusal"]  # there is none, or the cell would not be finished
    return nested_params(content)


def nested_params(content: Mapping[str, Any], prefix: str = "") -> list[Param]:
    """Settings as params of MLflow; nested names are joined by dots."""
    from mlflow.entities import Param

    params = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            params += nested_params(value, f"{prefix}{name}.")
        else:
            params.append(Param(f"{prefix}{name}", str(value)[:LONGEST_PARAM]))
    return params


def trial_metrics(trial: Trial) -> list[Metric]:
    """Cost and value of a trial, and its running mean by fold."""
    from mlflow.entities import Metric

    points = [Metric("seconds", trial.seconds, 0, 0)]
    if trial.value is not None:
        points.append(Metric("value", trial.value, 0, 0))
    for fold, mean in enumerate(trial.after_folds):
        if mean is not None:
            points.append(Metric("after_fold", mean, 0, fold))
    return points


def cell_metrics(
    folder: CellFolder, task: str, metrics: tuple[CaseMetric, ...], time_ms: int
) -> list[Metric]:
    """Cost, the mean of each score over the patients, and the curves of the training.

    `fd_while_training` is the Fréchet distance of a generator while it was trained; its step is
    the number of images shown to it.
    """
    from mlflow.entities import Metric

    final = {**_costs(folder), **_mean_scores(folder, task, metrics)}
    points = [Metric(name, value, time_ms, 0) for name, value in final.items()]
    for name, curve in folder.read_history().items():
        # A method may well log a `dice` of its own.
        free_name = clean_name(name)
        if free_name in final:
            free_name = f"step/{free_name}"
        points += [Metric(free_name, value, time_ms, step) for step, value in curve]
    judgement = folder.read_judgement()
    for distances in judgement.curves if judgement else ():
        name = "fd_while_training"
        if distances.label:
            name = clean_name(f"{name}/{distances.label}")
        for point in distances.points:
            points.append(Metric(name, point.distance, time_ms, point.shown))
    return points


def clean_name(name: str) -> str:
    """A name that MLflow takes: letters, digits, _ - . : / and spaces; each other sign as _."""
    cleaned = re.sub(r"[^\w\-. :/]", "_", name)[:LONGEST_NAME]
    parts = [part for part in cleaned.split("/") if part.strip(" .")]
    return "/".join(parts) or "_"


def _costs(folder: CellFolder) -> dict[str, float]:
    result = folder.read_result()
    return asdict(result.cost) if result and result.cost else {}


def _mean_scores(
    folder: CellFolder, task: str, metrics: tuple[CaseMetric, ...]
) -> dict[str, float]:
    """The mean over the patients of each score that is defined."""
    file = folder.scores("last")
    if not file.exists():
        return {}
    scores = read_scores(file, task, metrics)
    names = LABEL_METRICS
    if task == "segmentation":
        names = tuple(metric.key for metric in metrics)
    means = {name: mean_of(scores, name) for name in names}
    return {name: mean for name, mean in means.items() if mean is not None}
