"""Carries out a plan: skips what is done, keeps workers busy, scores what finishes, records failures."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.cell_folder import CellFolder, CellJob
from bench.execution.executor import Executor, Finished
from bench.execution.progress import Progress, RunningCell
from bench.names import cell_label
from bench.planning.budget import folds_of
from bench.planning.cells import PlannedCell, PlannedDataset, reference_models
from bench.planning.suite import Suite
from bench.store import Store

BUSY_PAUSE_S = 2.0


def write_jobs(
    cells: Sequence[PlannedCell],
    suite: Suite,
    datasets: Mapping[str, PlannedDataset],
    device: str,
    plugins: Sequence[Path] = (),
) -> dict[str, CellJob]:
    """What each worker must know, by key; all a worker reads besides the cache."""
    judging: set[str] = set()  # reference models, which are needed after the run
    for task, dataset in dict.fromkeys((cell.task, cell.dataset) for cell in cells):
        models = reference_models(cells, task, dataset, suite.reference)
        judging |= {model.key for model in models}
    jobs: dict[str, CellJob] = {}
    for cell in cells:
        dataset_ = datasets[cell.dataset]
        fitted, held_out = _patients(cell, dataset_)
        index = dataset_.prepared.index
        jobs[cell.key] = CellJob(
            cell=cell.bare_key(),
            patients=list(fitted),
            held_out=list(held_out),
            cache=str(dataset_.prepared.folder.resolve()),
            weights=_weights(suite, cell.task),
            device=device,
            pseudo_healthy=cell.pseudo_healthy,
            plugins=[str(file.resolve()) for file in plugins],
            keep_model=(suite.keep_models and not held_out) or cell.key in judging,
            spec=index.spec,
            card=index.card,
        )
    return jobs


def _patients(cell: PlannedCell, dataset: PlannedDataset) -> tuple[Sequence[str], Sequence[str]]:
    """Labelled patients to fit, and those that a trial of tuning holds out."""
    labelled = dataset.split.labelled(cell.subset, cell.labelled)
    if cell.fold is None:
        return labelled, ()
    number, asked = cell.fold
    return folds_of(labelled, asked)[number]


def _weights(suite: Suite, task: str) -> str | None:
    """Where the weights of the network of a task lie."""
    file = suite.backbone.weights if task == "segmentation" else suite.classifier.weights
    return str(file) if file else None


def execute(
    cells: Sequence[PlannedCell],
    jobs: Mapping[str, CellJob],
    store: Store,
    executor: Executor,
    time_limit_s: float,
    score: Callable[[str], None],
    show: Callable[[Progress], None],
    retry_failed: bool = False,
) -> Progress:
    """Run all cells that are not done; returns the final count.

    On any exception the workers are ended.
    """
    unique = {cell.key: cell for cell in cells if cell.refusal is None}
    progress = Progress(len(unique), slots=executor.slots)
    launches = _Launches(unique, jobs, store, executor, time_limit_s)
    for key, cell in unique.items():
        state = store.state(key)
        retried = retry_failed and cell.phase != "untuned"  # there its trials are to be retried
        if state == "done":
            progress.done += 1
            progress.kept += 1
            score(key)
        elif state == "failed" and not retried:
            progress.failed += 1
        else:
            launches.waiting.append((0.0, key))
    try:
        while launches.waiting or executor.running():
            launches.start_due()
            progress.running = launches.running_cells()
            show(progress)
            for finished in executor.wait(0.5):
                _settle(finished, launches, progress, score)
    finally:
        executor.close()
    progress.running = {}
    show(progress)
    return progress


class _Launches:
    """The cells that wait for a worker, and those at work."""

    def __init__(
        self,
        cells: Mapping[str, PlannedCell],
        jobs: Mapping[str, CellJob],
        store: Store,
        executor: Executor,
        time_limit_s: float,
    ) -> None:
        self.cells = cells
        self.jobs = jobs
        self.store = store
        self.executor = executor
        self.time_limit_s = time_limit_s
        self.waiting: deque[tuple[float, str]] = deque()  # not before, key
        self.started: dict[Path, float] = {}

    def start_due(self) -> None:
        """Hand waiting cells to the executor while it has free slots."""
        for _ in range(len(self.waiting)):
            if len(self.executor.running()) >= self.executor.slots:
                return
            not_before, key = self.waiting.popleft()
            if time.monotonic() < not_before:
                self.waiting.append((not_before, key))
                continue
            folder = self.store.cell(key)
            folder.make()
            folder.write_job(self.jobs[key])
            folder.forget_progress()  # of an attempt that was killed
            self.started[folder.path] = time.monotonic()
            self.executor.submit(folder.path, self.time_limit_s)

    def wait_again(self, key: str) -> None:
        """Try a cell that another launch holds a little later."""
        self.waiting.append((time.monotonic() + BUSY_PAUSE_S, key))

    def running_cells(self) -> dict[str, RunningCell]:
        """Step of each running cell, from the file its worker keeps."""
        running: dict[str, RunningCell] = {}
        for path in self.executor.running():
            folder = CellFolder(path)
            cell = self.cells[folder.key]
            step = 0
            steps = cell.steps
            told = folder.read_progress()
            if told is not None:
                step = told.step
                steps = told.steps
            running[folder.key] = RunningCell(cell_label(cell), step, steps)
        return running


def _settle(
    finished: Finished,
    launches: _Launches,
    progress: Progress,
    score: Callable[[str], None],
) -> None:
    store = launches.store
    key = finished.folder.name
    ended = store.state(key) in ("done", "failed")
    if finished.how == "busy" and not ended:
        launches.wait_again(key)
        return
    if not ended:
        kind = "timeout" if finished.how == "timed out" else "crash"
        store.cell(key).write_failure(kind, finished.detail)
    if store.state(key) == "failed":
        progress.failed += 1
        return
    progress.done += 1
    progress.seconds.append(time.monotonic() - launches.started[finished.folder])
    score(key)


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))
