"""What a run would do and how long it would take: `--dry-run`. Nothing is trained."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.board.schema import PlanningNote
from bench.command_line.terminal import aligned
from bench.costs import workers
from bench.costs.estimate import AS_STAND_IN, STAND_IN, TABLE, Cost, Estimator
from bench.costs.probe import CellKind, Probe, finished_costs, kind_of
from bench.costs.request import AS_A_RULE, DryRunRequest
from bench.errors import BenchError, join_lines
from bench.names import (
    DEFAULT,
    EXTERNAL,
    RowId,
    cell_label,
    dataset_label,
    draw_noun,
    duration,
    method_label,
)
from bench.planning.cells import PlannedCell
from bench.planning.filters import matching_cells
from bench.stages import Bench
from bench.store import Store

if TYPE_CHECKING:
    from bench.tuning.study import Study

BudgetKey = tuple[str, str, int]  # task, data set, labelled patients


def forecast(bench: Bench, asked: DryRunRequest = AS_A_RULE) -> str:
    """The cells, which of them are done, and how long the others will take."""
    chosen = matching_cells(
        bench.cells, bench.options.only, bench.suite.reference, bench.suite.folds
    )
    waiting = [cell for cell in chosen if cell.phase == "waiting"]
    ready = [cell for cell in chosen if cell.phase != "waiting"]
    lines = []
    if asked.listed:
        for cell in ready:
            lines.append(f"{cell.key}  {cell_label(cell)}: {_state_text(cell, bench.store)}")
    due = _due_cells(ready, bench.store)
    costs = _Costs(bench, asked.probe)
    lines += _method_table(ready, due, costs, bench.store).split("\n")
    lines += _refusal_lines(ready)
    lines += _ladder_lines(ready)
    lines += _measured_planning(bench)
    slots = _Slots(bench, asked.assume_workers)
    total = _total_text(due, costs, slots)
    tuning = []
    if waiting:
        tuning.append(_tuning_text(waiting, bench, costs, slots))
    return join_lines([*lines, *costs.notes(due), total, *tuning])


class _Slots:
    """How many trainings at once a time is predicted for."""

    def __init__(self, bench: Bench, assumed: int | None) -> None:
        options = bench.options
        here = workers.room(options.device, options.per_device, bench.suite.threads)
        self.count = workers.assumed_workers(options.workers, here, assumed)
        self.text = f"on {self.count} workers"
        if assumed is not None:
            self.text += ", as assumed"
        elif options.workers and options.workers > self.count:
            self.text += ", the most that this machine has room for (--assume-workers for another)"


class _Costs:
    """What cells take, as far as it is known: of finished ones, else as asked for."""

    def __init__(self, bench: Bench, probe: bool) -> None:
        self.bench = bench
        self.known: dict[CellKind, Cost | None] = {}
        self.known.update(finished_costs(bench.cells, bench.store))
        self.unknown: dict[str, str] = {}  # method -> why
        self.estimator = Estimator(bench.options.job_device)
        self.probe: Probe | None = None
        if probe:
            self.probe = _probe_of(bench)

    def of(self, cell: PlannedCell) -> Cost | None:
        """What one training takes; None where that cannot be told."""
        kind = kind_of(cell)
        if kind not in self.known:
            self.known[kind] = self._look_up(cell)
        return self.known[kind]

    def _look_up(self, cell: PlannedCell) -> Cost | None:
        if self.probe is not None:
            cost = self.probe.cost(cell)
            if cost is None:
                self.unknown[cell.method] = "a test run did not finish"
            return cost
        try:
            index = self.bench.dataset_of(cell).prepared.index
            return self.estimator.cost(cell, index)
        except BenchError as problem:
            self.unknown[cell.method] = str(problem)
            return None

    def notes(self, due: Sequence[PlannedCell]) -> list[str]:
        """Where the times of these cells come from, and what is not in them."""
        stored: set[str] = set()
        strangers: set[str] = set()
        for cell in due:
            cost = self.of(cell)
            if cost is not None and cost.source == TABLE:
                stored.add(cell.method)
            if cost is not None and cost.source == AS_STAND_IN:
                strangers.add(cell.method)
        lines = []
        if stored or strangers:
            lines.append(
                f"times: from steps measured on {self.estimator.times.machine}, scaled to this "
                "machine by a pass of two seconds; --probe measures a few steps of each method"
            )
        if strangers:
            lines.append(
                f"{', '.join(sorted(strangers))}: never measured, so estimated from the cost of "
                f"the network as {STAND_IN}; --probe measures them"
            )
        own = sorted({cell.method for cell in due if cell.pseudo_healthy} & stored)
        if own:
            lines.append(
                f"{', '.join(own)}: with generators of the default size in every variant, which "
                "may be many times too long; --probe measures those of the suite"
            )
        makers = sorted({cell.method for cell in due if cell.generator} & stored)
        if makers:
            lines.append(
                f"{', '.join(makers)}: without the training of what makes images, which "
                "does not follow the steps of the suite"
            )
        return lines


def _probe_of(bench: Bench) -> Probe:
    from bench.execution.local import LocalExecutor

    executor = LocalExecutor(1, bench.suite.threads)
    options = bench.options
    return Probe(bench.suite, bench.datasets, options.job_device, options.plugins, executor)


def _method_table(
    cells: Sequence[PlannedCell], due: Sequence[PlannedCell], costs: _Costs, store: Store
) -> str:
    """A line for each method on each data set."""
    rows: dict[tuple[str, str], list[PlannedCell]] = defaultdict(list)
    for cell in cells:
        if cell.refusal is None:
            label = method_label(cell.method, cell.variant)
            rows[label, dataset_label(cell.task, cell.dataset)].append(cell)
    due_keys = {cell.key for cell in due}
    lines = [["method", "data set", "runs", "done", "to run", "a step", "a run", "all to run"]]
    for (method, dataset), of_row in rows.items():
        states = [store.state(cell.key) for cell in of_row]
        to_run = [cell for cell in of_row if cell.key in due_keys]
        counts = [len(of_row), states.count("done"), len(to_run)]
        lines.append([method, dataset, *map(str, counts), *_time_columns(to_run, costs)])
    return aligned(lines)


def _time_columns(to_run: Sequence[PlannedCell], costs: _Costs) -> list[str]:
    """Seconds of a step and of a run, and of all runs one after another."""
    known = [cost for cost in map(costs.of, to_run) if cost is not None]
    if not to_run:
        return ["-", "-", "-"]
    if len(known) < len(to_run):
        return ["unknown", "-", "-"]
    steps = {_step_text(cost.step_seconds) for cost in known}
    seconds = [cost.seconds for cost in known]
    return [" ".join(sorted(steps)), duration(max(seconds)), duration(sum(seconds))]


def _step_text(seconds: float) -> str:
    return duration(seconds) if seconds >= 10 else f"{seconds:.2g} s"


def _refusal_lines(cells: Sequence[PlannedCell]) -> list[str]:
    """A line for each method that cannot be run on a data set, and why."""
    lines = []
    for cell in cells:
        if cell.refusal is not None:
            label = method_label(cell.method, cell.variant)
            dataset = dataset_label(cell.task, cell.dataset)
            lines.append(f"{label} on {dataset}: not applicable ({cell.refusal})")
    return list(dict.fromkeys(lines))


def _ladder_lines(cells: Sequence[PlannedCell]) -> list[str]:
    """A line for each data set on which the reference alone is run at further budgets."""
    budgets: dict[str, list[PlannedCell]] = defaultdict(list)
    for cell in cells:
        if cell.ladder:
            budgets[dataset_label(cell.task, cell.dataset)].append(cell)
    lines = []
    for name, of_dataset in budgets.items():
        counts = sorted({cell.labelled for cell in of_dataset})
        labelled = ", ".join(map(str, counts))
        method = of_dataset[0].method
        lines.append(f"{name}, {len(of_dataset)} runs of {method} alone: {labelled} labelled")
    return lines


def _measured_planning(bench: Bench) -> list[str]:
    """What the draws of each budget will resolve, as far as finished cells tell."""
    from bench.board.comparisons import planning_notes
    from bench.board.rows import row_cells, rows_by_budget
    from bench.board.shared_draws import Budget
    from bench.stages import make_plan

    plan = make_plan(bench)
    test_groups = {name: dataset.test_groups for name, dataset in plan.datasets.items()}
    rows = row_cells(bench.store, plan)
    budgets = [Budget(group) for group in rows_by_budget(rows)]
    notes = planning_notes(budgets, bench.suite.reference)
    return planning_lines(bench.cells, test_groups, notes, bench.suite.folds)


def planning_lines(
    cells: Sequence[PlannedCell],
    test_groups: Mapping[str, int],
    notes: Sequence[PlanningNote],
    folds: int = 1,
) -> list[str]:
    """A line for each budget of a plan with two methods or more.

    `test_groups` holds the test patients of each data set, `notes` what finished cells say; a
    budget without a note is planned by `assumed_before_runs`, which is of Dice. `folds` are
    outer folds, each of which has draws of its own.
    """
    measured = {(note.task, note.dataset, note.labelled): note.text for note in notes}
    lines = []
    for key, rows in _planned_rows(cells).items():
        task, dataset, labelled = key
        if len(rows) < 2:
            continue
        text = measured.get(key)
        if text is None and task == "segmentation":
            text = _assumed_planning(list(rows.values()), test_groups[dataset], folds)
        if text is not None:
            lines.append(f"{dataset_label(task, dataset)}, {labelled} labelled, {text}")
    return lines


def _assumed_planning(rows: Sequence[Sequence[PlannedCell]], patients: int, folds: int) -> str:
    """What the draws of one budget would resolve by `assumed_before_runs`."""
    from bench.board.comparisons import fold_note_text, note_text
    from bench.stats.fold_planning import FoldDesign, expected_fold_components
    from bench.stats.planning import assumed_before_runs

    assumed = assumed_before_runs(rows[0][0].steps)
    noun = draw_noun(rows[0][0].fraction)
    draws = max(map(len, rows)) // folds
    if folds == 1:
        text = note_text(assumed.components, patients, draws, len(rows), noun)
    else:
        components = expected_fold_components(assumed.components, patients, folds)
        text = fold_note_text(components, draws, FoldDesign(patients, folds, len(rows)), noun)
    return f"{text} Assumes that differences vary as {assumed.source}."


def _planned_rows(cells: Sequence[PlannedCell]) -> dict[BudgetKey, dict[RowId, list[PlannedCell]]]:
    """The cells of each row that will be scored, by budget."""
    budgets: dict[BudgetKey, dict[RowId, list[PlannedCell]]] = defaultdict(dict)
    for cell in cells:
        if cell.refusal is None:
            budgets[cell.row.budget].setdefault(cell.row, []).append(cell)
    return budgets


def _state_text(cell: PlannedCell, store: Store) -> str:
    if cell.refusal:
        return f"not applicable ({cell.refusal})"
    return store.state(cell.key)


def _due_cells(cells: Sequence[PlannedCell], store: Store) -> list[PlannedCell]:
    """The cells that a run would train, once each."""
    due: dict[str, PlannedCell] = {}
    for cell in cells:
        is_trained = cell.refusal is None and cell.method != EXTERNAL and cell.phase == "final"
        if is_trained and store.state(cell.key) not in ("done", "failed"):
            due[cell.key] = cell
    return list(due.values())


def _total_text(due: Sequence[PlannedCell], costs: _Costs, slots: _Slots) -> str:
    if not due:
        return "nothing to do"
    known = [cost for cost in map(costs.of, due) if cost is not None]
    if len(known) < len(due):
        reasons = [f"{method}, {reason}" for method, reason in costs.unknown.items()]
        return f"{len(due)} runs to do; time unknown: {'; '.join(reasons)}"
    seconds = sum(cost.seconds for cost in known)
    return f"{len(due)} runs to do, about {duration(seconds / slots.count)} {slots.text}"


def _tuning_text(waiting: Sequence[PlannedCell], bench: Bench, costs: _Costs, slots: _Slots) -> str:
    """The trials of studies that are not at their end, and the tuned cells that wait for them."""
    tuning = bench.suite.tuning
    assert tuning is not None
    trials = tuning.trials
    trainings = 0
    seconds: list[float] = []
    studies = _unfinished_studies(waiting, bench)
    for study in studies:
        trainings += trials * study.folds
        cells = trials * study.folds + len(study.cells)
        cost = costs.of(replace(study.base, variant=DEFAULT))
        if cost is not None:
            seconds.append(cost.seconds * cells)
    text = (
        f"{len(studies)} studies of {trials} trials, {trainings} trainings at most, "
        f"then {len(waiting)} tuned cells"
    )
    if len(seconds) < len(studies):
        return text
    return f"{text}, about {duration(sum(seconds) / slots.count)}"


def _unfinished_studies(waiting: Sequence[PlannedCell], bench: Bench) -> list[Study]:
    """The studies that tuned cells wait for."""
    from bench.tuning.study import plan_studies

    unfinished = {cell.study for cell in waiting}
    studies = plan_studies(bench.suite, bench.untuned_cells, bench.datasets, bench.options.plugins)
    return [study for study in studies if study.id in unfinished]


def tuning_to_come(bench: Bench) -> tuple[int, int]:
    """How many trainings the trials of a run have at most, and how many tuned cells follow.

    Raises BenchError where no cell is chosen.
    """
    chosen = matching_cells(
        bench.cells, bench.options.only, bench.suite.reference, bench.suite.folds
    )
    if bench.suite.tuning is None:
        return 0, 0
    waiting = [cell for cell in chosen if cell.phase == "waiting"]
    folds = sum(study.folds for study in _unfinished_studies(waiting, bench))
    return bench.suite.tuning.trials * folds, len(waiting)
