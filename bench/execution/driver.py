"""Runs the cells of a plan that are not done: starts workers, scores results, records failures."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import registry
from bench.cell_folder import CellFolder, CellJob, CellProgress
from bench.execution.executor import Executor, Finished
from bench.execution.progress import Progress, RunningCell
from bench.names import EXTERNAL, cell_label
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
    """The job of each cell by key: all that its worker reads besides the decoded images."""
    judging = _reference_keys(cells, suite.reference)
    plugin_files = [str(file.resolve()) for file in plugins]
    codes = _plugin_codes(cells, plugins)
    jobs: dict[str, CellJob] = {}
    for cell in cells:
        dataset = datasets[cell.dataset]
        fitted, held_out = _patients(cell, dataset)
        prepared = dataset.prepared
        jobs[cell.key] = CellJob(
            cell=cell.bare_key(),
            patients=list(fitted),
            held_out=list(held_out),
            cache=str(prepared.folder.resolve()),
            weights=_weights(suite, cell.task),
            device=device,
            pseudo_healthy=cell.pseudo_healthy,
            plugins=plugin_files,
            plugin_code=codes[cell.method],
            keep_model=(suite.keep_models and not held_out) or cell.key in judging,
            spec=prepared.index.spec,
            card=prepared.index.card,
        )
    return jobs


def _plugin_codes(cells: Sequence[PlannedCell], plugins: Sequence[Path]) -> dict[str, str | None]:
    """The hash of the plug-in that brings each method; None for the others."""
    codes: dict[str, str | None] = {EXTERNAL: None}
    for name in dict.fromkeys(cell.method for cell in cells):
        if name != EXTERNAL:
            codes[name] = registry.plugin_code(name, plugins)
    return codes


def _reference_keys(cells: Sequence[PlannedCell], reference: str) -> set[str]:
    """The keys of the reference models, which judge images after the run."""
    keys: set[str] = set()
    for task, dataset in dict.fromkeys((cell.task, cell.dataset) for cell in cells):
        models = reference_models(cells, task, dataset, reference)
        keys |= {model.key for model in models}
    return keys


def _patients(cell: PlannedCell, dataset: PlannedDataset) -> tuple[Sequence[str], Sequence[str]]:
    """The labelled patients to fit, and those that a trial of tuning holds out."""
    labelled = dataset.split.labelled(cell.subset, cell.labelled)
    if cell.fold is None:
        return labelled, ()
    number, folds = cell.fold
    return folds_of(labelled, folds)[number]


def _weights(suite: Suite, task: str) -> str | None:
    """The file with the weights of the network of a task."""
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
    """Run all cells that are not done, and call `score` with the key of each cell that is.

    Returns the final counts. The workers are ended on any exception.
    """
    unique = {cell.key: cell for cell in cells if cell.refusal is None}
    progress = Progress(len(unique), slots=executor.slots)
    launches = _Launches(unique, jobs, store, executor, time_limit_s)
    for key, cell in unique.items():
        state = store.state(key)
        # An untuned cell failed because all trials of its study did: these are run again instead.
        retried = retry_failed and cell.phase != "untuned"
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
    """The cells that wait for a worker, and those that run."""

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
        self.waiting: deque[tuple[float, str]] = deque()  # (not before, key)
        self.started: dict[Path, float] = {}  # folder of a cell -> time

    def start_due(self) -> None:
        """Hand waiting cells to the executor as long as it has free slots."""
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
            folder.forget_progress()  # left by an attempt that was killed
            self.started[folder.path] = time.monotonic()
            self.executor.submit(folder.path, self.time_limit_s)

    def wait_again(self, key: str) -> None:
        """Try a cell again a little later, because another launch holds it."""
        self.waiting.append((time.monotonic() + BUSY_PAUSE_S, key))

    def running_cells(self) -> dict[str, RunningCell]:
        """How far each running cell is, from the file that its worker writes."""
        running: dict[str, RunningCell] = {}
        for path in self.executor.running():
            folder = CellFolder(path)
            cell = self.cells[folder.key]
            progress = folder.read_progress() or CellProgress(0, cell.steps)
            running[folder.key] = RunningCell(cell_label(cell), progress.step, progress.steps)
        return running


def _settle(
    finished: Finished,
    launches: _Launches,
    progress: Progress,
    score: Callable[[str], None],
) -> None:
    """Count a cell whose worker ended, and score it or record why it failed."""
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
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))
