"""Plan and cells on disk -> Board. Can run at any time: what is not finished is `missing`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench import __version__, hashing
from bench.board.caveats import caveats
from bench.board.columns import Column, board_columns
from bench.board.comparisons import compare_methods, compared_columns
from bench.board.elsewhere.rows import elsewhere_rows
from bench.board.label_curves import curve_areas, label_equivalents, reference_ladder
from bench.board.protocol_card import protocol_card
from bench.board.published import compare_with_papers
from bench.board.rows import RowCells, row_cells, rows_by_budget
from bench.board.schema import (
    TASKS,
    Board,
    BoardCell,
    ColumnFacts,
    ElsewhereRow,
    Overlay,
    Point,
    Row,
    Status,
    SuiteFacts,
    SyntheticImages,
)
from bench.board.scores.case_scores import case_tables
from bench.board.shared_draws import Budget
from bench.board.synthetic_rows import describe_images, value_of_each_draw
from bench.board.trainings.costs import costs_of_rows
from bench.board.trainings.curves import training_curves
from bench.cell_folder import State
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import Plan, planned_metrics, read_plan
from bench.published.board_file import BoardFile, read_board_file
from bench.scoring.tables import Scores, mean_of
from bench.store import Store
from bench.tuning.history import study_histories

LOG_LINES = 15  # of a failed cell: the end of a traceback
STATUS: Mapping[State, Status] = {
    "done": "ok",
    "failed": "failed",
    "running": "missing",
    "missing": "missing",
}


def build(store: Store, known_plan: Plan | None = None) -> Board:
    """The board of a folder that `run` wrote, whose plan may have been read before."""
    published = read_board_file(store.out) or BoardFile()
    board = _build(store, known_plan or read_plan(store.out))
    return replace(board, versions=published.rows, remarks=published.remarks)


def _build(store: Store, plan: Plan) -> Board:
    columns = _columns_of(store, plan)
    every_row = row_cells(store, plan)
    rows = _without_ladder(every_row)
    reference = plan.suite.reference
    budgets = _budgets_of(rows)
    numbers = _board_rows(budgets, columns, reference)
    settings = distinct_settings(plan.cells)
    cells = _board_cells(store, plan, every_row, settings)
    histories = study_histories(store, plan)
    equivalents = label_equivalents(every_row, reference, plan.datasets)
    comparisons = compare_methods(budgets, reference, compared_columns(columns))
    return Board(
        suite=_suite_facts(plan),
        rows=numbers,
        points=_points(rows, columns),
        datasets=plan.datasets,
        protocol=protocol_card(plan),
        cells=cells,
        overlays=_overlays(rows, reference),
        provenance=_provenance(plan, every_row),
        paper=compare_with_papers(plan, numbers),
        label_equivalents=equivalents.known,
        without_equivalents=equivalents.notes,
        ladder=reference_ladder(every_row),
        areas=curve_areas(rows, reference),
        tuning=histories,
        synthetic=_synthetic_images(rows),
        methods=plan.methods,
        cases=case_tables(rows),
        caveats=caveats(plan, cells, histories, rows),
        stability=comparisons.stability,
        pairs=comparisons.pairs,
        gains=comparisons.gains,
        orderings=comparisons.orderings,
        cost=costs_of_rows(store, plan, rows),
        columns=_facts_of(columns),
        training=training_curves(store, rows),
        planning=comparisons.planning,
        settings=settings,
        elsewhere=_elsewhere(store, plan, rows, columns),
    )


def _budgets_of(rows: Sequence[RowCells]) -> list[Budget]:
    return list(map(Budget, rows_by_budget(rows)))


def _without_ladder(rows: Sequence[RowCells]) -> list[RowCells]:
    """The rows at budgets where all methods are run."""
    return [cells for cells in rows if not cells.ladder]


def _elsewhere(
    store: Store, plan: Plan, rows: Sequence[RowCells], columns: Sequence[Column]
) -> list[ElsewhereRow]:
    """The numbers on the data sets of `test_on`."""
    metrics = planned_metrics(plan, store.plugins)
    reference = plan.suite.reference
    return elsewhere_rows(store, rows, plan.tested_on, columns, metrics, reference)


def _columns_of(store: Store, plan: Plan) -> Sequence[Column]:
    """The columns of a plan: the built-in ones and those of its own metrics."""
    return board_columns(planned_metrics(plan, store.plugins))


def _facts_of(columns: Sequence[Column]) -> list[ColumnFacts]:
    return [column.facts for column in columns]


def _provenance(plan: Plan, rows: Sequence[RowCells]) -> dict[str, str]:
    return {"scarcebench": __version__, **plan.provenance, **_environments(rows)}


def _suite_facts(plan: Plan) -> SuiteFacts:
    header = plan.header
    return SuiteFacts(
        name=header.name,
        title=header.title,
        description=header.description,
        tasks=header.tasks,
        reference=header.reference,
        size=header.size,
        note=plan.suite.note,
        published_steps={name: steps for name, steps in plan.published_steps.items() if steps},
        outer_folds=plan.suite.outer_folds,
    )


def _board_rows(budgets: Sequence[Budget], columns: Sequence[Column], reference: str) -> list[Row]:
    """All numbers, by task, dataset, budget and method, then in the order of the columns."""
    numbers: list[Row] = []
    for column in columns:
        for budget in budgets:
            numbers += column.rows(budget, reference)
    return sorted(numbers, key=_reading_order)


def _reading_order(row: Row) -> tuple[int, str, float, str, str]:
    return TASKS.index(row.task), row.dataset, row.fraction, row.method, row.variant


def _points(rows: Sequence[RowCells], columns: Sequence[Column]) -> list[Point]:
    """The mean of each cell by each metric of its predictions, and what its images measure."""
    scored = [column for column in columns if column.kind == "case"]
    of_images = [column.key for column in columns if column.kind == "synthetic"]
    points: list[Point] = []
    for cells in rows:
        keys = [column.key for column in scored if column.task == cells.row.task]
        for subset, scores in sorted(cells.subset_scores.items()):
            means = [(key, mean_of(scores, key)) for key in keys]
            points += [_point(cells, subset, key, mean) for key, mean in means if mean is not None]
        points += _points_of_images(cells, of_images)
    return points


def _points_of_images(cells: RowCells, keys: Sequence[str]) -> list[Point]:
    """The numbers of synthetic and pseudo-healthy images, where a row of theirs has some."""
    points: list[Point] = []
    if cells.selected:
        return points
    for key in keys:
        for subset, value in value_of_each_draw(cells, key).items():
            points.append(_point(cells, subset, key, value))
    return points


def _point(cells: RowCells, subset: int, metric: str, mean: float) -> Point:
    return Point(
        task=cells.row.task,
        dataset=cells.row.dataset,
        fraction=cells.fraction,
        labelled=cells.row.labelled,
        method=cells.row.method,
        variant=cells.row.variant,
        metric=metric,
        subset=subset,
        mean=mean,
    )


def distinct_settings(cells: Sequence[PlannedCell]) -> list[Mapping[str, Any]]:
    """The settings of all cells, each once: most cells share theirs with others."""
    distinct: dict[str, Mapping[str, Any]] = {}
    for cell in cells:
        distinct.setdefault(hashing.digest(cell.config), cell.config)
    return list(distinct.values())


def _board_cells(
    store: Store,
    plan: Plan,
    rows: Sequence[RowCells],
    settings: Sequence[Mapping[str, Any]],
) -> list[BoardCell]:
    """How each cell of the plan ended, in the order of the plan."""
    states: dict[str, State] = {}
    for cells in rows:
        for cell, state in zip(cells.cells, cells.states, strict=True):
            states[cell.key] = state
    positions = {hashing.digest(config): number for number, config in enumerate(settings)}
    ended = []
    for cell in plan.cells:
        position = positions[hashing.digest(cell.config)]
        ended.append(_board_cell(store, cell, states[cell.key], position))
    return ended


def _board_cell(store: Store, cell: PlannedCell, state: State, settings: int) -> BoardCell:
    status = STATUS[state]
    reason = None
    log: Sequence[str] = []
    failure = store.cell(cell.key).read_failure() if state == "failed" else None
    if failure is not None:
        reason = failure.reason
        log = failure.log[-LOG_LINES:]
    if cell.refusal:
        status = "not_applicable"
        reason = cell.refusal
        log = []
    return BoardCell(
        key=cell.key,
        task=cell.task,
        dataset=cell.dataset,
        fraction=cell.fraction,
        labelled=cell.labelled,
        subset=cell.subset,
        method=cell.method,
        variant=cell.variant,
        steps=cell.steps,
        status=status,
        reason=reason,
        log=log,
        seed=cell.seed,
        settings=settings,
    )


def _synthetic_images(rows: Sequence[RowCells]) -> list[SyntheticImages]:
    images: list[SyntheticImages] = []
    for cells in rows:
        if not cells.selected:
            images += describe_images(cells)
    return images


def _environments(rows: Sequence[RowCells]) -> dict[str, str]:
    """Versions and devices that the results came from; more than one where they differ."""
    environments: dict[str, set[str]] = defaultdict(set)
    for cells in rows:
        for result in cells.results:
            for name, value in result.environment.items():
                environments[name].add(value)
    return {name: ", ".join(sorted(values)) for name, values in sorted(environments.items())}


def _overlays(rows: Sequence[RowCells], reference: str) -> list[Overlay]:
    """Cases to draw at the lowest budget of each dataset, subset 0, by the reference's Dice."""
    drawable: dict[str, list[RowCells]] = defaultdict(list)
    for cells in rows:
        is_drawable = cells.row.task == "segmentation" and 0 in cells.subset_scores
        if is_drawable and not cells.selected:
            drawable[cells.row.dataset].append(cells)
    overlays: list[Overlay] = []
    for dataset in sorted(drawable):
        overlays += _dataset_overlays(drawable[dataset], reference)
    return overlays


def _dataset_overlays(rows: Sequence[RowCells], reference: str) -> list[Overlay]:
    references = [cells for cells in rows if cells.row.method == reference]
    if not references:
        return []
    lowest = min(references, key=lambda cells: cells.row.labelled)
    labelled = lowest.row.labelled
    shown = [cells for cells in rows if cells.row.labelled == labelled or cells.fraction == 1]
    dice = [_case_dice(cells) for cells in shown]
    overlays = []
    for rule, case in pick_cases(dice, shown.index(lowest)):
        overlays.append(
            Overlay(
                dataset=lowest.row.dataset,
                fraction=lowest.fraction,
                labelled=labelled,
                subset=0,
                case=case,
                rule=rule,
            )
        )
    return overlays


def _case_dice(cells: RowCells) -> dict[str, float]:
    """Dice of each case in subset 0."""
    scores = cells.subset_scores[0]
    assert isinstance(scores, Scores)  # of segmentation
    return scores.per_case("dice")


def pick_cases(dice: Sequence[Mapping[str, float]], reference: int) -> list[tuple[str, str]]:
    """(rule, case): worst, median and best of one method, and where all methods disagree most.

    `dice` holds the Dice of each case by method, `reference` is the position of that one method.
    """
    own = dice[reference]
    ranked = sorted(own, key=lambda case: (own[case], case))
    if not ranked:
        return []
    median = ranked[(len(ranked) - 1) // 2]
    picks = [("worst", ranked[0]), ("median", median), ("best", ranked[-1])]
    if len(dice) > 1:
        spread = {case: _spread(dice, case) for case in ranked}
        widest = max(ranked, key=lambda case: (spread[case], case))
        picks.append(("largest disagreement", widest))
    distinct: dict[str, str] = {}  # case -> the first rule that picks it
    for rule, case in picks:
        distinct.setdefault(case, rule)
    return [(rule, case) for case, rule in distinct.items()]


def _spread(dice: Sequence[Mapping[str, float]], case: str) -> float:
    values = [scores[case] for scores in dice]
    return max(values) - min(values)
