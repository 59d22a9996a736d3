"""What a run would do and how long it would take: `--dry-run`."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.board.schema import PlanningNote
from bench.cell_records import CellJob
from bench.errors import join_lines
from bench.execution import driver
from bench.execution.executor import Executor
from bench.names import EXTERNAL, RowId, cell_label, dataset_label, draw_noun, duration
from bench.planning.cells import PlannedCell
from bench.planning.filters import matching_cells
from bench.stages import Bench
from bench.store import Store

if TYPE_CHECKING:
    from bench.tuning.study import Study

PROBE_STEPS = 5
PROBE_LIMIT_S = 120
CellKind = tuple[str, str, str]  # method, task, data set: such cells take about as long per step
StepSeconds = Mapping[CellKind, float]
BudgetKey = tuple[str, str, int]  # task, data set, labelled patients


def forecast(bench: Bench) -> str:
    """The cells, which of them are done, and how long the others will take."""
    from bench.execution.local import local_executor

    chosen = matching_cells(bench.cells, bench.options.only, bench.suite.reference)
    waiting = [cell for cell in chosen if cell.phase == "waiting"]
    ready = [cell for cell in chosen if cell.phase != "waiting"]
    lines = []
    for cell in ready:
        lines.append(f"{cell.key}  {cell_label(cell)}: {_state_text(cell, bench.store)}")
    lines += _ladder_lines(ready)
    lines += _measured_planning(bench)
    due = _due_cells(ready, bench.store)
    options = bench.options
    executor = local_executor(
        bench.suite.threads, options.workers, options.device, options.per_device
    )
    slots = executor.slots
    step_seconds = _step_seconds(due, bench, executor)
    lines.append(_total_text(due, step_seconds, slots))
    if waiting:
        lines.append(_tuning_text(waiting, bench, step_seconds, slots))
    return join_lines(lines)


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
        lines.append(f"{name}, {len(of_dataset)} cells of {method} alone: {labelled} labelled")
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
    notes = planning_notes([Budget(group) for group in rows_by_budget(rows)])
    return planning_lines(bench.cells, test_groups, notes, bench.suite.folds)


def planning_lines(
    cells: Sequence[PlannedCell],
    test_groups: Mapping[str, int],
    notes: Sequence[PlanningNote],
    folds: int = 1,
) -> list[str]:
    """A line for each budget of a plan with two methods or more.

    `test_groups` holds the test patients of each data set, `notes` what finished cells say; a
    budget without a note is planned by `DEFAULT_COMPONENTS`, which are of Dice. `folds` are
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
            assumed = _assumed_planning(list(rows.values()), test_groups[dataset], folds)
            text = f"{assumed} Assumes that differences vary as after 100 steps on phantoms."
        if text is not None:
            lines.append(f"{dataset_label(task, dataset)}, {labelled} labelled, {text}")
    return lines


def _assumed_planning(rows: Sequence[Sequence[PlannedCell]], patients: int, folds: int) -> str:
    """What the draws of one budget would resolve by `DEFAULT_COMPONENTS`."""
    from bench.board.comparisons import fold_note_text, note_text
    from bench.stats.fold_planning import FoldDesign, expected_fold_components
    from bench.stats.planning import DEFAULT_COMPONENTS

    noun = draw_noun(rows[0][0].fraction)
    draws = max(map(len, rows)) // folds
    if folds == 1:
        return note_text(DEFAULT_COMPONENTS, patients, draws, len(rows), noun)
    components = expected_fold_components(DEFAULT_COMPONENTS, patients, folds)
    return fold_note_text(components, draws, FoldDesign(patients, folds, len(rows)), noun)


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


def _kind_of(cell: PlannedCell) -> CellKind:
    return cell.method, cell.task, cell.dataset


def _total_text(due: Sequence[PlannedCell], step_seconds: StepSeconds, slots: int) -> str:
    if not due:
        return "nothing to do"
    unknown = sorted({cell.method for cell in due if _kind_of(cell) not in step_seconds})
    if unknown:
        names = ", ".join(unknown)
        return f"{len(due)} cells to run; time unknown: a test run of {names} did not finish"
    seconds = sum(step_seconds[_kind_of(cell)] * cell.steps for cell in due)
    return f"{len(due)} cells to run, about {duration(seconds / slots)} on {slots} workers"


def _tuning_text(
    waiting: Sequence[PlannedCell], bench: Bench, step_seconds: StepSeconds, slots: int
) -> str:
    """The trials of studies that are not at their end, and the tuned cells that wait for them."""
    tuning = bench.suite.tuning
    assert tuning is not None
    trials = tuning.trials
    trainings = 0
    seconds: list[float] = []
    for study in _unfinished_studies(waiting, bench):
        trainings += trials * study.folds
        cells = trials * study.folds + len(study.cells)
        seconds.append(step_seconds.get(_kind_of(study.base), 0.0) * study.base.steps * cells)
    text = (
        f"{len(seconds)} studies of {trials} trials, {trainings} trainings at most, "
        f"then {len(waiting)} tuned cells"
    )
    if not all(seconds):
        return text
    return f"{text}, about {duration(sum(seconds) / slots)}"


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
    chosen = matching_cells(bench.cells, bench.options.only, bench.suite.reference)
    if bench.suite.tuning is None:
        return 0, 0
    waiting = [cell for cell in chosen if cell.phase == "waiting"]
    folds = sum(study.folds for study in _unfinished_studies(waiting, bench))
    return bench.suite.tuning.trials * folds, len(waiting)


def _step_seconds(
    due: Sequence[PlannedCell], bench: Bench, executor: Executor
) -> dict[CellKind, float]:
    """Seconds per step of each kind of cell: from finished cells, else from a few real steps."""
    step_seconds = _measured_seconds(bench)
    probes = {_kind_of(cell): cell for cell in due if _kind_of(cell) not in step_seconds}
    options = bench.options
    with tempfile.TemporaryDirectory() as folder:
        for kind, cell in probes.items():
            short = replace(cell, steps=PROBE_STEPS)
            store = Store(Path(folder))
            jobs = driver.write_jobs(
                [short], bench.suite, bench.datasets, store, options.job_device, options.plugins
            )
            seconds = _probe_seconds(jobs[short.key], store, executor)
            if seconds is not None:
                step_seconds[kind] = seconds
    return step_seconds


def _measured_seconds(bench: Bench) -> dict[CellKind, float]:
    """Seconds per step of the kinds of cells that have finished."""
    step_seconds: dict[CellKind, float] = {}
    for cell in bench.cells:
        result = bench.store.cell(cell.key).read_result()
        if result is not None and result.cost is not None:
            step_seconds[_kind_of(cell)] = result.cost.cell_seconds / cell.steps
    return step_seconds


def _probe_seconds(job: CellJob, store: Store, executor: Executor) -> float | None:
    """Seconds per step of a cell that is run for a few steps; None where it fails."""
    folder = store.cell(job.cell.key)
    folder.make()
    folder.write_job(job)
    executor.submit(folder.path, PROBE_LIMIT_S)
    while not executor.wait(1.0):
        pass
    result = folder.read_result()
    if result is None or result.cost is None:
        return None
    return result.cost.train_seconds / PROBE_STEPS
