"""Carries out a plan: skips what is done, keeps the workers busy, scores what finishes, records what fails."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.execution.executor import Executor, Finished
from bench.planning.cells import Cell, Material, judges
from bench.planning.folds import folds_of
from bench.planning.suite import Suite
from bench.store import Store, read_json, write_failure, write_json

BUSY_PAUSE_S = 2.0


@dataclass
class Progress:
    """How far a run is; drawn by the command line."""

    total: int
    done: int = 0
    failed: int = 0
    kept: int = 0  # done by an earlier run
    steps: dict[str, tuple[str, int, int]] = field(default_factory=dict)  # key -> label, step, of
    seconds: list[float] = field(default_factory=list)  # of cells finished in this run
    slots: int = 1

    def seconds_left(self) -> float | None:
        """From the mean time of the cells finished so far; None before the first."""
        left = self.total - self.done - self.failed
        if not self.seconds:
            return None
        return left * sum(self.seconds) / len(self.seconds) / max(1, self.slots)


def write_jobs(
    cells: Sequence[Cell],
    suite: Suite,
    materials: Mapping[str, Material],
    device: str,
    plugins: Sequence[Path] = (),
) -> dict[str, Any]:
    """What each worker must know, by key; all a worker reads besides the cache."""
    jobs = {}
    judged = {(cell.task, cell.dataset) for cell in cells}
    judging = {judge.key for named in judged for judge in judges(cells, *named, suite.reference)}
    for cell in cells:
        material = materials[cell.dataset]
        labelled = material.split.labelled(cell.subset, cell.labelled)
        fitted, held = (
            folds_of(labelled, cell.fold[1])[cell.fold[0]] if cell.fold else (labelled, ())
        )
        jobs[cell.key] = {
            "cell": cell.identity(),
            "patients": list(fitted),
            "held": list(held),
            "cache": str(material.prepared.folder.resolve()),
            "weights": _weights(suite, cell.task),
            "device": device,
            "normaliser": cell.normaliser,
            "plugins": [str(file.resolve()) for file in plugins],
            "keep_model": (suite.keep_models and not held) or cell.key in judging,
            "spec": material.prepared.index["spec"],
            "card": material.prepared.index["card"],
        }
    return jobs


def _weights(suite: Suite, task: str) -> str | None:
    """Where the weights of the network of a task lie."""
    file = suite.backbone.weights if task == "segmentation" else suite.classifier.weights
    return str(file) if file else None


def execute(
    cells: Sequence[Cell],
    jobs: Mapping[str, Any],
    store: Store,
    executor: Executor,
    time_limit_s: float,
    score: Callable[[str], None],
    show: Callable[[Progress], None],
    retry_failed: bool = False,
) -> Progress:
    """Run all cells that are not done; returns the final count. On any exception the workers are ended."""
    unique = {cell.key: cell for cell in cells if cell.refusal is None}
    progress = Progress(len(unique), slots=executor.slots)
    waiting: deque[tuple[float, str]] = deque()
    for key in unique:
        state = store.state(key)
        if state == "done":
            progress.done, progress.kept = progress.done + 1, progress.kept + 1
            score(key)
        elif state == "failed" and (
            not retry_failed or unique[key].phase == "untuned"
        ):  # its trials are to be retried
            progress.failed += 1
        else:
            waiting.append((0.0, key))
    started: dict[Path, float] = {}
    try:
        while waiting or executor.running():
            _launch(waiting, jobs, store, executor, time_limit_s, started)
            progress.steps = _steps(executor.running(), unique)
            show(progress)
            for finished in executor.wait(0.5):
                _settle(finished, waiting, store, progress, score, started)
    finally:
        executor.close()
    progress.steps = {}
    show(progress)
    return progress


def _launch(
    waiting: deque[tuple[float, str]],
    jobs: Mapping[str, Any],
    store: Store,
    executor: Executor,
    time_limit_s: float,
    started: dict[Path, float],
) -> None:
    for _ in range(len(waiting)):
        if len(executor.running()) >= executor.slots:
            return
        not_before, key = waiting.popleft()
        if time.monotonic() < not_before:
            waiting.append((not_before, key))
            continue
        folder = store.cell(key)
        folder.mkdir(parents=True, exist_ok=True)
        if read_json(folder / "cell.json") != jobs[key]:
            write_json(folder / "cell.json", jobs[key])
        (folder / "progress.json").unlink(missing_ok=True)  # of an attempt that was killed
        started[folder] = time.monotonic()
        executor.submit(folder, time_limit_s)


def _settle(
    finished: Finished,
    waiting: deque[tuple[float, str]],
    store: Store,
    progress: Progress,
    score: Callable[[str], None],
    started: Mapping[Path, float],
) -> None:
    key = finished.folder.name
    if finished.how == "busy" and store.state(key) not in ("done", "failed"):
        waiting.append((time.monotonic() + BUSY_PAUSE_S, key))
        return
    if store.state(key) not in ("done", "failed"):
        kind = "timeout" if finished.how == "timed out" else "crash"
        write_failure(finished.folder, kind, finished.detail)
    if store.state(key) == "failed":
        progress.failed += 1
        return
    progress.done += 1
    progress.seconds.append(time.monotonic() - started[finished.folder])
    score(key)


def _steps(folders: Sequence[Path], cells: Mapping[str, Cell]) -> dict[str, tuple[str, int, int]]:
    """Step of each running cell, from the file its worker keeps."""
    steps = {}
    for folder in folders:
        cell = cells[folder.name]
        told = read_json(folder / "progress.json") or {"step": 0, "steps": cell.steps}
        steps[folder.name] = (label(cell), told["step"], told["steps"])
    return steps


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


def label(cell: Cell) -> str:
    """A cell in words."""
    variant = "" if cell.variant == "default" else f" ({cell.variant})"
    return f"{cell.method}{variant} on {place(cell.task, cell.dataset)}, {cell.labelled} labelled, subset {cell.subset}"


def place(task: str, dataset: str) -> str:
    """A dataset, with the task where it is not segmentation."""
    return dataset if task == "segmentation" else f"{dataset} {task}"
