"""The stages that a user calls: plan, tune, run, score, report, status. Each can be run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from bench import registry
from bench.board import build, pictures
from bench.board.schema import TASKS, Board
from bench.board.scores import case_scores
from bench.board.trainings.machines import RunMachine, machines_of_runs
from bench.costs.lengths import training_length
from bench.costs.request import DryRunRequest, takes_any_grid
from bench.data.cache import DecodedDataset
from bench.errors import BenchError
from bench.execution import driver, external
from bench.execution.devices import job_device
from bench.execution.engines.choose import Engine, EngineOptions, LocalEngine
from bench.execution.executor import Executor
from bench.execution.external_labels import take_over_labels
from bench.execution.needs import needs_of
from bench.execution.order import in_order
from bench.execution.progress import Progress
from bench.finished_cells import judge, mend_cell, score
from bench.names import EXTERNAL
from bench.planning import plan_file, split, suite_file
from bench.planning.cells import PlannedCell, PlannedDataset, plan_cells
from bench.planning.dataset_facts import describe_datasets, warnings
from bench.planning.datasets import keep_split, prepare_datasets, prepare_tested
from bench.planning.filters import matching_cells
from bench.planning.labelled_images import labelled_image_warnings
from bench.planning.plan_file import Plan, read_plan
from bench.planning.precision import AUTO, Precision, planned_precision
from bench.planning.provenance import commit, started_on
from bench.planning.suite import Suite
from bench.planning.workplace import write_workplace
from bench.published.board import Published, open_board
from bench.published.board_file import is_published, read_board_file, write_board_file
from bench.published.kept_losses import drop_later_losses
from bench.published.kept_rows import with_plugin_methods
from bench.published.row_versions import with_finished_rows
from bench.scoring import score_cell
from bench.store import Store, refuse_links

ALL_FORMATS = "html,csv,md,tex"


class ReportWriter(Protocol):
    """What draws a leaderboard; `reports.write` is one."""

    def formats(self, text: str) -> Sequence[str]:
        """The formats named in a text. Raises BenchError for an unknown one."""
        ...

    def write(
        self,
        out: Path,
        board: Board,
        panels: Sequence[Any],
        sheets: Sequence[Any],
        tables: Mapping[str, str],
        formats: Sequence[str],
        public: bool,
        machines: Mapping[str, RunMachine],
    ) -> Path:
        """Write board.json and all formats; returns the page, or without one, the folder.

        `machines` says where each run was made, by its key.
        """
        ...


@dataclass(frozen=True)
class RunOptions:
    """How to carry a plan out; nothing here changes a result."""

    only: Sequence[str] = ()  # filters of cells, such as method=mean_teacher
    workers: int | None = None  # cells at once; all cores where None
    device: str = "auto"
    plugins: Sequence[Path] = ()
    retry_failed: bool = False
    retries: int = 2  # of a cell that the machine could not finish
    publish: bool = False  # make the folder a published board
    renew: bool = False  # of a published board: train rows of other code again
    engine: EngineOptions = field(default_factory=EngineOptions)  # what brings cells to machines
    per_device: int = 1  # cells at once on each GPU
    first: Sequence[str] = ()  # filters of cells that are run before all others

    @property
    def job_device(self) -> str:
        """The device that the job of a cell names."""
        return job_device(self.device)


@dataclass(frozen=True)
class Bench:
    """A planned suite: its cells, its data, its folder, and how to run it."""

    suite: Suite
    cells: Sequence[PlannedCell]
    datasets: Mapping[str, PlannedDataset]
    store: Store
    options: RunOptions
    size: str | None = None
    auto_precision: Precision | None = None  # what `precision: auto` stands for
    published: Published | None = None  # of a published board: what it knows of its rows
    tested_on: Mapping[str, DecodedDataset] = field(default_factory=dict)  # of `test_on`
    engine: Engine | None = None  # this machine where None

    def executor(self) -> Executor:
        """What runs the cells of one stage."""
        options = self.options
        engine = self.engine or LocalEngine(options.workers, options.device, options.per_device)
        return engine.executor(self.store, self.suite.threads, self.options.plugins)

    def dataset_of(self, cell: PlannedCell) -> PlannedDataset:
        """The data set, or the outer fold, that a cell is trained and tested on."""
        return self.datasets[self.suite.planned_name(cell.dataset, cell.subset)]

    @property
    def untuned_cells(self) -> list[PlannedCell]:
        """The cells without the twins that tuning adds."""
        return [cell for cell in self.cells if cell.study is None]


def plan_bench(
    suite: Suite,
    data: Path | None,
    store: Store,
    options: RunOptions,
    size: str | None = None,
    dry_run: DryRunRequest | None = None,
) -> Bench:
    """Decode, split and plan a suite; writes plan.json and the splits, unless in a dry run.

    Raises BenchError if anything in the suite cannot be used.
    """
    dry = dry_run is not None
    store.plugins = [*options.plugins, *suite.metrics]
    is_board = options.publish or is_published(store.out)
    if is_board:
        suite = with_plugin_methods(suite, options.plugins)
    suite_file.check_names(suite, options.plugins)
    refuse_links(store.out, depth=3)
    try:
        store.open()
    except BenchError:  # a dry run may look at a folder that can only be read
        if not dry:
            raise
    any_grid = takes_any_grid(dry_run)
    datasets = prepare_datasets(suite, data, store, options.plugins, any_grid)
    auto: Precision | None = None
    if suite.precision == AUTO:
        auto = planned_precision(store, options.device)
    cells = plan_cells(suite, datasets, options.plugins, auto or "float32")
    published = None
    if is_board:
        published = open_board(cells, suite, datasets, store, options.plugins, options.renew, dry)
        cells = list(published.cells)
    bench = with_tuned_cells(Bench(suite, cells, datasets, store, options, size, auto, published))
    tested_on = prepare_tested(suite, datasets, data, store, options.plugins, dry)
    bench = replace(bench, tested_on=tested_on)
    if dry:
        return bench
    _keep_plan(bench)
    return bench


def _keep_plan(bench: Bench) -> None:
    """Write what a planned suite leaves in its folder."""
    if bench.published is not None:
        write_board_file(bench.store.out, bench.published.board)
    for dataset in bench.datasets.values():
        keep_split(dataset.split, bench.suite, bench.store)
    write_plan(bench)


def with_tuned_cells(bench: Bench) -> Bench:
    """A bench whose cells have tuned twins, with settings as far as the studies have come."""
    if bench.suite.tuning is None:
        return bench
    from bench.tuning.trials import tuned_cells

    tuned = tuned_cells(_studies(bench), bench.suite.tuning.trials, bench.store)
    return replace(bench, cells=[*bench.untuned_cells, *tuned])


def _studies(bench: Bench) -> Sequence[Any]:
    from bench.tuning.study import plan_studies

    return plan_studies(bench.suite, bench.untuned_cells, bench.datasets, bench.options.plugins)


def write_plan(bench: Bench) -> None:
    """Write plan.json: what `score`, `report`, `status` and `verify` need."""
    plan_file.write_plan(bench.store.out, make_plan(bench))
    write_workplace(bench.store.out)


def make_plan(bench: Bench) -> Plan:
    """The content of plan.json."""
    suite = bench.suite
    plugins = bench.options.plugins
    caches = {}
    for name, dataset in bench.datasets.items():
        caches[name] = dataset.prepared.folder.resolve()
    studies = []
    if suite.tuning:
        studies = [study.facts() for study in _studies(bench)]
    plan = Plan(
        header=plan_file.header_of(suite, bench.size),
        suite=suite,
        cells=bench.cells,
        datasets=describe_datasets(bench.datasets, suite),
        warnings=warnings(suite, bench.datasets),
        caches=caches,
        published_steps=plan_file.published_steps(suite, plugins),
        published=plan_file.published_numbers(suite, plugins),
        cautions=plan_file.cautions(suite, plugins),
        studies=studies,
        methods=plan_file.method_cards(suite, plugins),
        provenance={"commit": commit(), "started": started_on(bench.store)},
        metric_code=plan_file.metric_code(suite),
        auto_precision=bench.auto_precision,
        tested_on={name: each.folder.resolve() for name, each in bench.tested_on.items()},
    )
    if bench.published is None or bench.published.kept is None:
        return plan
    return bench.published.kept.added_to(plan)


def tune(bench: Bench, show: Callable[[Progress], None]) -> tuple[Bench, str]:
    """Run the studies of a suite, or those whose tuned cells match `only`.

    Returns the bench with the settings that they chose, and a table of winners, which is empty if
    no study matches. Raises BenchError for a suite without tuning.
    """
    from bench.tuning import trials

    suite = bench.suite
    if suite.tuning is None:
        raise BenchError(f"suite {suite.name} has no 'tuning'; add 'tuning: {{trials: 20}}'")
    matching = matching_cells(bench.cells, bench.options.only, suite.reference, suite.folds)
    chosen = {cell.study for cell in matching}
    studies = _studies(bench)
    wanted = [study for study in studies if study.id in chosen]
    options = bench.options
    with bench.store.launched():
        trials.run_studies(
            suite,
            wanted,
            bench.datasets,
            bench.store,
            bench.executor(),
            show,
            options.job_device,
            options.plugins,
            options.retry_failed,
            options.retries,
        )
        if wanted:
            trials.export_database(studies, suite.tuning.trials, bench.store, options.plugins)
    tuned = with_tuned_cells(bench)
    write_plan(tuned)
    return tuned, trials.winners_table(bench.store, wanted, suite.tuning.trials)


def run(
    bench: Bench,
    show: Callable[[Progress], None],
    tell: Callable[[str], None] = lambda key: None,
) -> Progress:
    """Run and score the cells that are not done; `tell` is called with the key of each that is."""
    suite = bench.suite
    store = bench.store
    options = bench.options
    chosen = in_order(_cells_to_run(bench), suite.reference, options.first, training_length)
    jobs = driver.write_jobs(
        chosen, suite, bench.datasets, store, options.job_device, options.plugins
    )
    decoded = {cell.key: bench.dataset_of(cell).prepared.folder for cell in bench.cells}
    metrics = registry.case_metrics(suite.metrics, suite.keep_probabilities)
    metric_code = registry.metric_code(suite.metrics)
    score_settings = (suite.nsd_tolerance, metrics, metric_code)
    mended = {
        key: mend_cell(store.cell(key), jobs[key], decoded[key], *score_settings) for key in jobs
    }
    _take_external(chosen, bench)

    def score_one(key: str) -> None:
        if not mended[key]:
            score_cell.score_cell(store.cell(key), decoded[key], *score_settings)
        tell(key)

    with store.launched():
        return driver.execute(
            chosen,
            jobs,
            store,
            bench.executor(),
            suite.time_limit_s,
            score_one,
            show,
            options.retry_failed,
            options.retries,
            needs=needs_of(options.plugins),
            length=training_length,
        )


def _cells_to_run(bench: Bench) -> list[PlannedCell]:
    """The cells that the options ask for.

    One that is not final waits for its study, or failed together with it. A row of a published
    board whose code has changed is not trained further.
    """
    chosen = []
    for cell in matching_cells(
        bench.cells, bench.options.only, bench.suite.reference, bench.suite.folds
    ):
        if bench.published is not None and bench.published.is_of_other_code(cell):
            continue
        if cell.phase == "final" or bench.store.state(cell.key) == "failed":
            chosen.append(cell)
    return chosen


def close_board(bench: Bench) -> None:
    """Of a published board: say where each row comes from."""
    if bench.published is not None:
        board = bench.published.updated(bench.store, read_plan(bench.store.out).cells)
        write_board_file(bench.store.out, board)


def planning_notes(bench: Bench) -> list[str]:
    """What a user should know of a plan before any training."""
    return [*warnings(bench.suite, bench.datasets), *labelled_image_warnings(bench.cells)]


def _take_external(cells: Sequence[PlannedCell], bench: Bench) -> None:
    """Copy predictions made elsewhere, unless that is done already."""
    given = [cell for cell in cells if cell.method == EXTERNAL]
    device = bench.options.job_device
    jobs = driver.write_jobs(given, bench.suite, bench.datasets, bench.store, device)
    for cell in given:
        if cell.predictions is None or bench.store.state(cell.key) == "done":
            continue
        folder = bench.store.cell(cell.key)
        folder.make()
        folder.write_job(jobs[cell.key])
        index = bench.dataset_of(cell).prepared.index
        if cell.task == "classification":
            take_over_labels(folder, cell.predictions, index)
        else:
            read = registry.image_files().read_label_file
            external.take_over(folder, cell.predictions, index, read)


def report(
    store: Store,
    writer: ReportWriter,
    formats: str = ALL_FORMATS,
    public: bool = False,
    judged: bool = True,
) -> tuple[Board, Path]:
    """Build the leaderboard from all finished cells and write it in the wanted formats.

    `public` leaves out pictures of data that may not be passed on, folders and names of hosts.
    Without `judged`, synthetic images that were not judged before are not judged now. Returns the
    leaderboard and its page.
    """
    wanted = writer.formats(formats)
    score(store)
    if judged:
        judge(store)
    for file in sorted((store.out / "splits").glob("*.json")):
        split.read_kept(file, with_hash=True)  # the page holds them
    plan = read_plan(store.out)
    published = read_board_file(store.out)
    if published is not None:
        write_board_file(store.out, with_finished_rows(published, plan.cells, store))
        if public:
            drop_later_losses(plan.cells, store)
    board = build.build(store, plan)
    panels: Sequence[Any] = ()
    sheets: Sequence[Any] = ()
    machines: Mapping[str, RunMachine] = {}
    if "html" in wanted:
        machines = machines_of_runs(store, board)
        panels = pictures.panels(store, board, public)
        sheets = pictures.sheets(store, board, public)
    tables = {task: case_scores.per_case_csv(store, task, plan) for task in TASKS}
    pictured = (panels, sheets)
    return board, writer.write(store.out, board, *pictured, tables, wanted, public, machines)
