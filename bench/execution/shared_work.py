"""What a job on a cluster does: trains and scores free cells of a planned folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import registry
from bench.errors import BenchError, cut
from bench.execution import driver
from bench.execution.local import LocalExecutor
from bench.execution.progress import Progress
from bench.execution.shift import Shift
from bench.names import EXTERNAL
from bench.planning import plan_file
from bench.planning.cells import PlannedCell
from bench.planning.filters import matching_cells
from bench.planning.plan_file import Plan, read_plan
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
        self.metrics = registry.case_metrics(files)
        self.metric_code = registry.metric_code(files)

    def score(self, key: str) -> None:
        """Score a finished cell; a trial of tuning has been scored by its worker."""
        folder = self.store.cell(key)
        job = folder.expect_job()
        if job.held_out:
            return
        decoded = (folder.path / job.cache).resolve()
        tolerance = self.plan.suite.nsd_tolerance
        score_cell.score_cell(folder, decoded, tolerance, self.metrics, self.metric_code)


def work(
    store: Store, options: WorkOptions, shift: Shift, show: Callable[[Progress], None]
) -> Progress:
    """Train and score cells of a planned folder that nobody holds, until none is left.

    Raises BenchError, in one line, if this machine may not work on the folder.
    """
    shared = SharedFolder(store, options.plugins)
    suite = shared.plan.suite
    cells = _chosen(shared.plan, options)
    jobs = driver.write_jobs(cells, suite, shared.datasets, store, options.device, options.plugins)
    executor = LocalExecutor(options.workers or driver.available_cores(), suite.threads)
    with store.launched():
        return driver.execute(
            cells,
            jobs,
            store,
            executor,
            suite.time_limit_s,
            shared.score,
            show,
            retries=options.retries,
            shift=shift,
        )


def _chosen(plan: Plan, options: WorkOptions) -> list[PlannedCell]:
    """The cells that can be trained anywhere: all but predictions from elsewhere.

    Those that wait for their study are left to `run`. Raises BenchError for a key of no cell.
    """
    cells = []
    for cell in matching_cells(plan.cells, options.only, plan.suite.reference):
        if cell.phase == "final" and cell.method != EXTERNAL and cell.refusal is None:
            cells.append(cell)
    if not options.keys:
        return cells
    by_key = {cell.key: cell for cell in cells}
    for key in options.keys:
        if key not in by_key:
            raise BenchError(f"cell {cut(key)} given; the plan has none of this key; see 'status'")
    return [by_key[key] for key in options.keys]
