"""What a job on a cluster does: trains and scores free cells of a planned folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import registry
from bench.errors import BenchError, cut
from bench.execution import driver
from bench.execution.devices import job_device
from bench.execution.judging import judge_apart
from bench.execution.local import local_executor
from bench.execution.needs import needs_of
from bench.execution.order import Length, in_order, steps_of
from bench.execution.progress import Progress
from bench.execution.shift import Shift
from bench.names import EXTERNAL
from bench.planning import plan_file
from bench.planning.cells import PlannedCell
from bench.planning.filters import matching_cells
from bench.planning.plan_file import read_plan
from bench.planning.workplace import check_code, check_workplace, planned_datasets
from bench.scoring import score_cell
from bench.store import Store, refuse_links


@dataclass(frozen=True)
class WorkOptions:
    """How a worker of a shared folder works; nothing here changes a result."""

    keys: Sequence[str] = ()  # of cells; all where there are none
    only: Sequence[str] = ()  # filters of cells, such as method=mean_teacher
    workers: int | None = None  # cells at once; all cores where None
    device: str = "auto"
    plugins: Sequence[Path] = ()
    retries: int = 2
    per_device: int = 1  # cells at once on each GPU
    length: Length = steps_of  # with which cells are put in order


class SharedFolder:
    """A planned folder on a machine that may work on it: what its cells are scored with.

    Raises BenchError, in one line, if this machine may not. With a `nonce`, it is that of the
    folder which the driver of a run sees.
    """

    def __init__(self, store: Store, plugins: Sequence[Path], nonce: str | None = None) -> None:
        refuse_links(store.out, depth=3)
        self.store = store
        self.plan = read_plan(store.out)
        check_workplace(store.out, nonce)
        self.datasets = planned_datasets(self.plan, store)
        check_code(self.plan, self.datasets, plugins, store.out)
        files = plan_file.metric_files(self.plan, [*plugins, *store.plugins])
        self.metrics = registry.case_metrics(files, self.plan.suite.keep_probabilities)
        self.metric_code = registry.metric_code(files)
        self.judged = {cell.key: cell for cell in self.plan.cells if cell.is_judged}

    def score(self, key: str) -> None:
        """Score a finished cell, and judge its images; trials of tuning need neither."""
        folder = self.store.cell(key)
        job = folder.expect_job()
        if job.held_out:
            return
        decoded = (folder.path / job.cache).resolve()
        suite = self.plan.suite
        tolerance = suite.nsd_tolerance
        score_cell.score_cell(folder, decoded, tolerance, self.metrics, self.metric_code)
        cell = self.judged.get(key)
        if cell is not None:
            judge_apart(self.store, self.plan, cell, suite.time_limit_s)


def work(
    store: Store, options: WorkOptions, shift: Shift, show: Callable[[Progress], None]
) -> Progress:
    """Train and score cells of a planned folder that nobody holds, until none is left.

    Raises BenchError, in one line, if this machine may not work on the folder.
    """
    shared = SharedFolder(store, options.plugins)
    suite = shared.plan.suite
    cells, trials = _chosen(shared, options)
    device = job_device(options.device)
    jobs = driver.write_jobs(cells, suite, shared.datasets, store, device, options.plugins)
    for trial in trials:
        jobs[trial.key] = replace(store.cell(trial.key).expect_job(), device=device)
    executor = local_executor(suite.threads, options.workers, options.device, options.per_device)
    with store.launched():
        return driver.execute(
            [*cells, *trials],
            jobs,
            store,
            executor,
            suite.time_limit_s,
            shared.score,
            show,
            retries=options.retries,
            shift=shift,
            needs=needs_of(options.plugins),
            length=options.length,
        )


def _chosen(
    shared: SharedFolder, options: WorkOptions
) -> tuple[list[PlannedCell], list[PlannedCell]]:
    """The cells that can be trained anywhere, and trials of tuning that are asked for by key.

    They are in the order in which `run` takes them, those with keys in the order of these.
    Predictions from elsewhere and cells that wait for their study are left to `run`. Raises
    BenchError for a key of no cell.
    """
    plan = shared.plan
    cells = []
    for cell in matching_cells(plan.cells, options.only, plan.suite.reference, plan.suite.folds):
        if cell.phase == "final" and cell.method != EXTERNAL and cell.refusal is None:
            cells.append(cell)
    if not options.keys:
        return in_order(cells, plan.suite.reference, length=options.length), []
    by_key = {cell.key: cell for cell in cells}
    chosen = [by_key[key] for key in options.keys if key in by_key]
    trials = [_trial(shared.store, key) for key in options.keys if key not in by_key]
    return chosen, trials


def _trial(store: Store, key: str) -> PlannedCell:
    """A trial of tuning, which no plan holds, from the job that its driver wrote."""
    job = store.cell(key).read_job()
    if job is None or not job.held_out:
        raise BenchError(f"cell {cut(key)} given; the plan has none of this key; see 'status'")
    return PlannedCell(**job.cell.identity())
