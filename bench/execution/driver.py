"""Runs the cells of a plan that are not done: starts workers, scores results, records failures."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import registry
from bench.cell_folder import CellFolder
from bench.cell_records import CellJob, CellProgress
from bench.execution import attempts
from bench.execution.executor import ANY, Executor, Finished, Needs
from bench.execution.local import ctrl_c_is_kept
from bench.execution.order import Length
from bench.execution.progress import Progress, RunningCell
from bench.execution.settling import settle
from bench.execution.shift import Shift
from bench.execution.weights import check_weights
from bench.names import EXTERNAL, cell_label
from bench.planning.budget import folds_of
from bench.planning.cells import PlannedCell, PlannedDataset, reference_models
from bench.planning.provenance import commit
from bench.planning.suite import Suite
from bench.planning.suite_parts import Network, own_backbones
from bench.store import Store
from bench.worker.failures import DEVICE, MEMORY, describe_failure
from bench.worker.snapshots import seconds_in

BUSY_PAUSE_S = 2.0
Waiting = tuple[float, str]  # the time before which a cell is not tried, and its key


def write_jobs(
    cells: Sequence[PlannedCell],
    suite: Suite,
    datasets: Mapping[str, PlannedDataset],
    store: Store,
    device: str,
    plugins: Sequence[Path] = (),
) -> dict[str, CellJob]:
    """The job of each cell by key: all that its worker reads besides the decoded images.

    Paths are as seen from the folder of the cell, so that a result folder may move with its cache.
    """
    judging = _reference_keys(cells, suite)
    codes = _plugin_codes(cells, plugins)
    own = own_backbones(suite.methods)
    version = commit()
    jobs: dict[str, CellJob] = {}
    for cell in cells:
        dataset = datasets[suite.planned_name(cell.dataset, cell.subset)]
        folder = store.cell(cell.key)
        fitted, held_out = _patients(cell, dataset)
        prepared = dataset.prepared
        jobs[cell.key] = CellJob(
            cell=cell.bare_key(),
            patients=list(fitted),
            held_out=list(held_out),
            cache=str(folder.relative(prepared.folder)),
            weights=_weights(_network_of(cell, suite, own), folder),
            device=device,
            pseudo_healthy=cell.pseudo_healthy,
            plugins=[str(folder.relative(file)) for file in plugins],
            plugin_code=codes[cell.method],
            keep_model=(suite.keep_models and not held_out) or cell.key in judging,
            checkpoint_s=suite.checkpoint_s,
            spec=prepared.index.spec,
            card=prepared.index.card,
            commit=version,
        )
    return jobs


def _plugin_codes(cells: Sequence[PlannedCell], plugins: Sequence[Path]) -> dict[str, str | None]:
    """The hash of the plug-in that brings each method; None for the others."""
    codes: dict[str, str | None] = {EXTERNAL: None}
    for name in dict.fromkeys(cell.method for cell in cells):
        if name != EXTERNAL:
            codes[name] = registry.plugin_code(name, plugins)
    return codes


def _reference_keys(cells: Sequence[PlannedCell], suite: Suite) -> set[str]:
    """The keys of the reference models, which judge images after the run."""
    keys: set[str] = set()
    for task, dataset in dict.fromkeys((cell.task, cell.dataset) for cell in cells):
        models = reference_models(cells, task, dataset, suite.reference, suite.folds)
        keys |= {model.key for model in models}
    return keys


def _patients(cell: PlannedCell, dataset: PlannedDataset) -> tuple[Sequence[str], Sequence[str]]:
    """The labelled patients to fit, and those that a trial of tuning holds out."""
    labelled = dataset.split.labelled(cell.subset, cell.labelled)
    if cell.fold is None:
        return labelled, ()
    number, folds = cell.fold
    return folds_of(labelled, folds)[number]


def _network_of(cell: PlannedCell, suite: Suite, own: Mapping[tuple[str, str], Network]) -> Network:
    """The network of a cell; `own` are those of entries, by method and variant."""
    if cell.task == "classification":
        return suite.classifier
    return own.get((cell.method, cell.variant), suite.backbone)


def _weights(network: Network, folder: CellFolder) -> str | None:
    """The file with the weights of a network, named so that others may read it."""
    if network.weights is None:
        return None
    if folder.is_published:
        return str(folder.relative(network.weights))
    return str(network.weights)


def execute(
    cells: Sequence[PlannedCell],
    jobs: Mapping[str, CellJob],
    store: Store,
    executor: Executor,
    time_limit_s: float,
    score: Callable[[str], None],
    show: Callable[[Progress], None],
    retry_failed: bool = False,
    retries: int = 2,
    shift: Shift | None = None,
    needs: Callable[[PlannedCell], Needs] = lambda cell: ANY,
    length: Length | None = None,
) -> Progress:
    """Run all cells that are not done, and call `score` with the key of each cell that is.

    A cell that the machine could not finish is run again, `retries` times at most. In a `shift`,
    cells that another launch finished or holds are left to it, and what runs at its end is ended.
    `length` tells how long cells take beside each other, for the time left. Returns the final
    counts. The workers are ended on any exception.
    """
    attempts.sweep(store.out)
    unique = {cell.key: cell for cell in cells if cell.refusal is None}
    progress = Progress(len(unique), slots=executor.slots)
    if length is not None:
        progress.lengths = {key: length(cell) for key, cell in unique.items()}
    launches = _Launches(unique, jobs, store, executor, time_limit_s, retries, shift, needs)
    for cell in unique.values():
        _sort_in(cell, launches, progress, retry_failed, score)
    try:
        launches.check_weights()
        with ctrl_c_is_kept() as check_ctrl_c:
            while launches.are_due():
                check_ctrl_c()
                launches.start_due(progress)
                progress.slots = executor.slots
                progress.running = launches.running_cells()
                show(progress)
                for finished in executor.wait(0.5):
                    _settle(finished, launches, progress, score)
    finally:
        executor.close()
    progress.running = {}
    show(progress)
    return progress


def _sort_in(
    cell: PlannedCell,
    launches: _Launches,
    progress: Progress,
    retry_failed: bool,
    score: Callable[[str], None],
) -> None:
    """Count a cell that is done or failed; any other one waits for a worker."""
    state = launches.store.state(cell.key)
    # An untuned cell failed because all trials of its study did: these are run again instead.
    retried = retry_failed and cell.phase != "untuned"
    if state == "done":
        progress.done += 1
        progress.kept += 1
        progress.ended.add(cell.key)
        if launches.shift is None:
            score(cell.key)
    elif state == "failed" and not retried:
        progress.failed += 1
        progress.ended.add(cell.key)
    else:
        launches.waiting.append((0.0, cell.key))


class _Launches:
    """The cells that wait for a worker, and those that run."""

    def __init__(
        self,
        cells: Mapping[str, PlannedCell],
        jobs: Mapping[str, CellJob],
        store: Store,
        executor: Executor,
        time_limit_s: float,
        retries: int = 2,
        shift: Shift | None = None,
        needs: Callable[[PlannedCell], Needs] = lambda cell: ANY,
    ) -> None:
        self.needs = needs
        self.cells = cells
        self.jobs = jobs
        self.store = store
        self.executor = executor
        self.time_limit_s = time_limit_s
        self.waiting: deque[Waiting] = deque()
        self.started: dict[Path, float] = {}  # folder of a cell -> time
        self.retries = retries
        self.shift = shift
        self.interruptions: Counter[str] = Counter()  # of each cell, by the machine
        self.alone: set[str] = set()  # cells that have one more try, with all memory for themselves

    def are_due(self) -> bool:
        """Whether cells wait or run, and the shift is not over."""
        if self.shift is not None and self.shift.is_over:
            return False
        return bool(self.waiting or self.executor.running())

    def check_weights(self) -> None:
        """Raise BenchError where a waiting cell starts from weights that are not there."""
        check_weights((self.store.cell(key), self.jobs[key]) for _, key in self.waiting)

    def start_due(self, progress: Progress) -> None:
        """Hand waiting cells to the executor, in their order, as far as it has room for them.

        Those that may wait for a shared part, which another one builds, come after the others.
        """
        if self.shift is not None and not self.shift.begins_cells:
            self.waiting.clear()
        full: set[Needs] = set()  # for which there was no room a moment ago
        kept: list[Waiting] = []  # that go on waiting
        sharing: list[Waiting] = []  # those of them that may wait for a shared part
        while self.waiting and ANY not in full and not self._one_runs_alone():
            entry = self.waiting.popleft()
            not_before, key = entry
            needs = self._needs_of(key)
            waits_alone = key in self.alone and bool(self.executor.running())
            if time.monotonic() < not_before or needs in full or waits_alone:
                kept.append(entry)
            elif self.executor.lacks(needs):
                progress.interrupted[key] = f"{DEVICE}: {self.executor.lacks(needs)}"
            elif not self.executor.has_room(needs):
                kept.append(entry)
                full.add(needs)
            elif self._may_wait_for_a_part(key):
                kept.append(entry)
                sharing.append(entry)
            elif not self._is_of_another(key, progress):
                self._start(self.store.cell(key), needs, progress)
            if waits_alone:
                sharing.clear()
                break
        for entry in sharing:
            if self._start_if_room(entry, progress):
                kept.remove(entry)
        self.waiting.extendleft(reversed(kept))

    def _start_if_room(self, entry: Waiting, progress: Progress) -> bool:
        """Start a cell, or leave it to another launch; False where there is no room for it now."""
        key = entry[1]
        needs = self._needs_of(key)
        if self._one_runs_alone() or not self.executor.has_room(needs):
            return False
        if not self._is_of_another(key, progress):
            self._start(self.store.cell(key), needs, progress)
        return True

    def _may_wait_for_a_part(self, key: str) -> bool:
        """Whether a generator of the same method and data runs, which may build what it needs."""
        cell = self.cells.get(key)
        running = self.executor.running()
        if cell is None or not cell.generator or len(running) >= self.executor.slots:
            return False
        others = [self.cells[folder.name] for folder in running if folder.name in self.cells]
        kind = (cell.method, cell.task, cell.dataset)
        return any((other.method, other.task, other.dataset) == kind for other in others)

    def _one_runs_alone(self) -> bool:
        if not self.alone:
            return False
        return any(folder.name in self.alone for folder in self.executor.running())

    def _needs_of(self, key: str) -> Needs:
        return self.needs(self.cells[key]) if key in self.cells else ANY

    def _start(self, folder: CellFolder, needs: Needs, progress: Progress) -> None:
        try:
            folder.make()
            folder.write_job(self.jobs[folder.key])
            folder.forget_progress()  # left by an attempt that was killed
            folder.forget_interruption()
            limit = self.time_limit_s - seconds_in(attempts.latest(folder).snapshot)
        except OSError as problem:
            _interrupt(folder.key, *describe_failure(problem), self, progress)
            return
        self.started[folder.path] = time.monotonic()
        self.executor.submit(folder.path, max(1.0, limit), needs)

    def _is_of_another(self, key: str, progress: Progress) -> bool:
        """Whether another launch has a cell: no worker need be started to find that out."""
        state = self.store.state(key)
        if state == "running":
            self.leave_to_holder(key)
            return True
        if self.shift is None or state not in ("done", "failed"):
            return False
        progress.ended.add(key)
        if state == "done":
            progress.done += 1
            progress.kept += 1
        else:
            progress.failed += 1
        return True

    def leave_to_holder(self, key: str) -> None:
        """Try a cell later that another launch holds; in a shift, it is that launch's."""
        if self.shift is None:
            self.wait_again(key)

    def wait_again(self, key: str) -> None:
        """Try a cell again a little later."""
        self.waiting.append((time.monotonic() + BUSY_PAUSE_S, key))

    def running_cells(self) -> dict[str, RunningCell]:
        """How far each running cell is, from the file that its worker writes."""
        running: dict[str, RunningCell] = {}
        for path in self.executor.running()[: max(1, self.executor.slots)]:
            folder = CellFolder(path)
            cell = self.cells[folder.key]
            progress = attempts.latest(folder).shown_progress() or CellProgress(0, cell.steps)
            running[folder.key] = RunningCell(
                cell_label(cell), progress.step, progress.steps, progress.latest
            )
        return running


def _settle(
    finished: Finished,
    launches: _Launches,
    progress: Progress,
    score: Callable[[str], None],
) -> None:
    """Count a cell whose worker ended, and have it settled unless its worker did that."""
    folder = launches.store.cell(finished.folder.name)
    if not launches.executor.settles:
        finished = settle(finished, launches.jobs.get(folder.key), score)
    if finished.how == "busy":
        launches.leave_to_holder(folder.key)
        return
    if finished.how != "ended":
        _interrupt(folder.key, finished.how, finished.detail, launches, progress)
    elif folder.has_result:
        if launches.executor.settles:
            score(folder.key)  # as far as its worker could not
        progress.finish(folder.key, _seconds_of(folder, launches))
    if folder.has_failed:
        progress.failed += 1
        progress.ended.add(folder.key)


def _seconds_of(folder: CellFolder, launches: _Launches) -> float:
    """How long a cell took, without the time that it waited for a job of a queue."""
    result = folder.read_result() if launches.executor.settles else None
    if result is not None and result.cost is not None:
        return result.cost.cell_seconds
    return time.monotonic() - launches.started[folder.path]


def _interrupt(key: str, kind: str, message: str, launches: _Launches, progress: Progress) -> None:
    """Run a cell again that the machine could not finish, unless that was tried often enough.

    One that needs too much memory has failed then; a full disk or a lost device never counts.
    """
    launches.interruptions[key] += 1
    tries = launches.interruptions[key]
    if tries <= launches.retries:
        is_last = kind == MEMORY and tries == launches.retries
        if is_last and not launches.executor.settles:  # where one machine runs all
            launches.alone.add(key)
        launches.wait_again(key)
        return
    launches.alone.discard(key)
    folder = launches.store.cell(key)
    if kind == MEMORY:
        attempts.forget(folder)
        folder.write_failure("too large for this machine", f"{message}, {tries} times")
        folder.forget_interruption()
    else:
        progress.interrupted[key] = f"{kind}: {message}"
