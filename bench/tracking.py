"""Mirrors finished results into MLflow. The folder is the truth: what is lost here, the next `sync` brings back."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from bench import hashing
from bench.board.schema import SCORED
from bench.errors import BenchError
from bench.execution.driver import place
from bench.scoring.score_cell import read_scores, table
from bench.store import Store, read_json
from bench.tuning import study as tuning
from bench.tuning import trials as studies

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, Run

log = logging.getLogger("bench.tracking")
KEY, COMPLETE, STUDY = "scarcebench.key", "scarcebench.complete", "scarcebench.study"
LAYOUT = 2  # raise it when a run is to hold something else than before: `sync` then writes all runs again
METRICS, PARAMS, RUNS = (
    1000,
    100,
    50000,
)  # most that MLflow takes in one log_batch, and gives in one page
PATIENCE_S = 60.0
FILES = {
    "done": (
        "result.json",
        "scores.csv",
        "selected.json",
        "selected.csv",
        "judged.json",
        "history.json",
        "log.txt",
        "augmented.csv",
        "normality.csv",
    ),
    "failed": (
        "failure.json",
        "log.txt",
    ),  # no scores: the board counts a failed cell as worst, MLflow shows FAILED
}
SETTINGS = {  # unless the user has set them; by MLflow's own, a server that is down costs minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def sync(store: Store, uri: str | None = None) -> int:
    """Bring all finished cells of the plan into MLflow; returns how many runs were written. Raises BenchError."""
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
    """Mirrors each key it is handed beside the run, the rest at the end; any trouble is one warning."""
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
    """A thread that mirrors what it is told. It starts with the first finished cell, so that it delays none."""

    def __init__(self, store: Store, uri: str | None) -> None:
        self.store, self.uri = store, uri
        self.told: SimpleQueue[str | None] = SimpleQueue()
        self.over = threading.Event()  # nothing more is to be said
        self.thread = threading.Thread(target=self._follow, daemon=True, name="mlflow mirror")

    def tell(self, key: str | None) -> None:
        """Have a finished cell mirrored soon; None says that no more follow."""
        self.told.put(key)
        if self.thread.ident is None:
            # Scoring and MLflow share scipy; where two threads import one package at once, one may see half of it.
            import scipy.ndimage
            import scipy.spatial  # noqa: F401

            self.thread.start()

    def close(self) -> None:
        """Wait for the rest, but not for ever."""
        self.tell(None)
        self.thread.join(PATIENCE_S)
        if self.thread.is_alive():
            self._warn(f"not ready after {PATIENCE_S:.0f} s")

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
    return (
        first if len(first) < 240 else f"{first[:120]} ... {first[-120:]}"
    )  # the cause is often at the end


@dataclass(frozen=True)
class Finished:
    """What one run of MLflow is made of: a cell of the plan and the files it left."""

    cell: Mapping[str, Any]
    state: str  # done or failed
    files: Mapping[str, Path]
    digest: str  # of all that is mirrored


class Mirror:
    """The experiment of one suite. Raises what MLflow raises."""

    def __init__(self, store: Store, uri: str | None = None) -> None:
        plan = store.plan()
        self.store, self.commit = store, plan["provenance"]["commit"]
        # A tuned cell whose settings came out as the defaults is the default cell.
        self.cells = {cell["key"]: cell for cell in reversed(plan["cells"]) if not cell["refusal"]}
        self.studies, self.trials = plan["studies"], studies.asked(plan)
        self.root = store.out.parent.resolve()
        self.uri = (
            uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.root / 'mlflow.db'}"
        )
        with (
            self._lock()
        ):  # of two processes that make the tables of a new database at once, one fails
            self.client = _client(self.uri)
            self.experiment = self._experiment(plan["labels"]["name"])
        self.known = {run.data.tags.get(KEY): run.data.tags.get(COMPLETE) for run in self._runs("")}

    def write_all(self) -> int:
        """Write what is finished and not there yet; returns the number of runs written."""
        return sum(self.write(key) for key in self.cells) + sum(
            self.write_study(study) for study in self.studies
        )

    def write_study(self, study: Mapping[str, Any]) -> int:
        """A run for a study with a child run for each trial, where that is due; returns the number of runs written."""
        done = studies.trials_of(self.store, study["id"])[: self.trials]
        digest = hashing.digest([LAYOUT, study["id"], [asdict(trial) for trial in done]])
        key = f"study {study['id']}"
        if not done or self.known.get(key) == digest:
            return 0
        with self._lock():
            runs = self._runs(f"tags.`{STUDY}` = '{study['id']}'")
            for run in runs:
                self.client.delete_run(run.info.run_id)
            tags = {KEY: key, STUDY: study["id"]}
            parent = self.client.create_run(
                self.experiment, None, tags, f"tuning of {studies.plain_name(study)}"
            ).info.run_id
            for trial in done:
                self._write_trial(study["id"], parent, trial)
            best = tuning.winner(done)
            if best is not None and best.value is not None:
                self.client.log_metric(parent, "best", best.value)
            self.client.set_terminated(parent, "FINISHED")
            self.client.set_tag(parent, COMPLETE, digest)
        self.known[key] = digest
        return 1 + len(done)

    def _write_trial(self, study: str, parent: str, trial: tuning.Trial) -> None:
        from mlflow.entities import Metric, Param

        tags = {STUDY: study, "mlflow.parentRunId": parent, "scarcebench.status": trial.state}
        run = self.client.create_run(
            self.experiment, None, tags, f"trial {trial.number}"
        ).info.run_id
        values = {
            "seconds": trial.seconds,
            **({} if trial.value is None else {"value": trial.value}),
        }
        points = [Metric(name, value, 0, 0) for name, value in values.items()]
        means = [(fold, value) for fold, value in enumerate(trial.after_folds) if value is not None]
        points += [Metric("after_fold", value, 0, fold) for fold, value in means]
        settings = [Param(name, str(value)[:6000]) for name, value in trial.params.items()]
        self.client.log_batch(run, metrics=points, params=settings, synchronous=True)
        self.client.set_terminated(run, "FAILED" if trial.state == "failed" else "FINISHED")

    def write(self, key: str) -> bool:
        """Bring one cell up to date; False where it is already, or where it is not finished."""
        found = self._finished(key)
        if found is None or self.known.get(key) == found.digest:
            return False
        with self._lock():
            runs = self._runs(
                f"tags.`{KEY}` = '{key}'"
            )  # again: another launch may have written it by now
            due = [run.data.tags.get(COMPLETE) for run in runs] != [found.digest]
            if due:
                for run in (
                    runs
                ):  # params cannot change and metrics would pile up: an outdated run is replaced
                    self.client.delete_run(run.info.run_id)
                self._write(found)
        self.known[key] = found.digest
        return due

    def _write(self, found: Finished) -> None:
        cost = (self.store.result(found.cell["key"]) or {"cost": {}})["cost"]
        ended = int(1000 * next(iter(found.files.values())).stat().st_mtime)
        started = ended - int(1000 * cost.get("cell_seconds", 0))
        run = self.client.create_run(
            self.experiment, started, self._tags(found), run_name(found.cell)
        ).info.run_id
        values, points = params(found.cell), metrics(found.files, cost, ended, found.cell["task"])
        for start in range(0, len(values), PARAMS):
            self.client.log_batch(run, params=values[start : start + PARAMS], synchronous=True)
        for start in range(0, len(points), METRICS):
            self.client.log_batch(run, metrics=points[start : start + METRICS], synchronous=True)
        for file in found.files.values():
            self.client.log_artifact(run, str(file))
        self.client.set_terminated(
            run, "FINISHED" if found.state == "done" else "FAILED", end_time=ended
        )
        self.client.set_tag(run, COMPLETE, found.digest)  # last: a run without it was cut short

    def _tags(self, found: Finished) -> dict[str, str]:
        tags = {
            "key": found.cell["key"],
            "split": found.cell["split"],
            "commit": self.commit,
            "status": found.state,
        }
        if failure := self.store.failure(tags["key"]):
            tags["reason"] = f"{failure['kind']}: {failure['message']}"
        return {f"scarcebench.{name}": value for name, value in tags.items()}

    def _finished(self, key: str) -> Finished | None:
        state = self.store.state(key)
        if state not in FILES or key not in self.cells:
            return None
        cell, folder = self.cells[key], self.store.cell(key)
        files = {file: folder / file for file in FILES[state] if (folder / file).exists()}
        content = {
            file: hashlib.sha256(path.read_bytes()).hexdigest() for file, path in files.items()
        }
        return Finished(
            cell, state, files, hashing.digest([LAYOUT, run_name(cell), state, content])
        )

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        beside = (
            None if self.uri.startswith("http") else (self.root / "mlartifacts").as_uri()
        )  # a server has its own
        return str(
            found.experiment_id
            if found
            else self.client.create_experiment(name, artifact_location=beside)
        )

    def _runs(self, which: str) -> list[Run]:
        return list(self.client.search_runs([self.experiment], which, max_results=RUNS))

    @contextmanager
    def _lock(self) -> Iterator[None]:
        database = self.uri.removeprefix("sqlite:///")
        file = Path(f"{database}.lock") if database != self.uri else self.store.out / "mlflow.lock"
        with file.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield


def _client(uri: str) -> MlflowClient:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for chatter in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(chatter).setLevel(logging.ERROR)
    return MlflowClient(uri)


def run_name(cell: Mapping[str, Any]) -> str:
    """A cell in words, as the progress display has it."""
    variant = "" if cell["variant"] == "default" else f" ({cell['variant']})"
    named = place(cell["task"], cell["dataset"])
    return f"{cell['method']}{variant} on {named}, {cell['labelled']} labelled, subset {cell['subset']}"


def params(cell: Mapping[str, Any]) -> list[Param]:
    """All that the plan says of a cell; nested names are joined by dots."""
    from mlflow.entities import Param

    def flat(prefix: str, value: Any) -> list[Param]:
        if isinstance(value, Mapping):
            return [
                param for name, inner in value.items() for param in flat(f"{prefix}.{name}", inner)
            ]
        return [Param(prefix, str(value)[:6000])]  # MLflow takes no longer ones

    return [param for name in cell.keys() - {"key", "refusal"} for param in flat(name, cell[name])]


def metrics(
    files: Mapping[str, Path], cost: Mapping[str, float], time_ms: int, task: str
) -> list[Metric]:
    """Cost, the mean over the patients of each metric of the board, and the curves of the training.

    `fd_while_training` is the Fréchet distance of a generator on the way; its step is the images shown to it.
    """
    from mlflow.entities import Metric

    scores = [read_scores(files["scores.csv"], task)] if "scores.csv" in files else []
    found = {column.key: table(scores, column.key) for column in SCORED if column.task == task}
    final = {
        **cost,
        **{name: float(values.mean()) for name, values in found.items() if values is not None},
    }
    points = [Metric(name, value, time_ms, 0) for name, value in final.items()]
    history = read_json(files["history.json"]) if "history.json" in files else {}
    for name, curve in history.items():
        free = (
            f"step/{name}" if name in final else name
        )  # a method may well log a `dice` of its own
        points += [Metric(free, value, time_ms, step) for step, value in curve]
    judged = read_json(files["judged.json"]) if "judged.json" in files else {}
    for curve in judged.get("curves", []):
        name = "/".join(["fd_while_training", *([curve["label"]] if curve["label"] else [])])
        points += [
            Metric(name, point["distance"], time_ms, point["shown"]) for point in curve["points"]
        ]
    return points
