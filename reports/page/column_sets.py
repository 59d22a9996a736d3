"""All other columns in sets; a set shows only the methods that have any of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.board.schema import Board, ColumnFacts, Row, RowCost
from reports.page import tables
from reports.page.costs import cost_text, measured_columns
from reports.page.lean_table import BudgetLines, Line
from reports.page.tables import Problem
from reports.wording import number_text, with_minus

BOUNDARY = frozenset({"nsd", "hd95", "asd"})
OVERLAP = frozenset({"dice", "dice_all", "jaccard", "fp_rate"})
KIND_TITLES = {
    "synthetic": "Synthetic",
    "pseudo-healthy": "Pseudo-normal",
    "augmented": "Pseudo-normal",
}


class SetHead(NamedTuple):
    """The head of one column."""

    key: str
    better: str  # "" of costs
    title: str
    unit: str
    help: str


@dataclass(frozen=True, slots=True)
class SetCell:
    """One number of a set."""

    metric: str
    value: float | None
    text: str
    interval: str
    why: str  # why there is no number, or what is wrong with it


@dataclass(frozen=True, slots=True)
class SetLine:
    """One method at one budget."""

    line: Line
    cells: list[SetCell]


@dataclass(frozen=True, slots=True)
class ColumnSet:
    """Columns that belong together, with the methods that have them."""

    key: str
    title: str
    heads: list[SetHead]
    budgets: list[tuple[str, int, list[SetLine]]]  # budget in words, labelled, lines

    @property
    def has_gains(self) -> bool:
        """Whether a column holds gains, whose intervals are adjusted."""
        return any(head.key in tables.GAINS for head in self.heads)


def list_sets(board: Board, problem: Problem, budgets: Sequence[BudgetLines]) -> list[ColumnSet]:
    """The sets in which any method has a number, cost last."""
    rows = {}
    for row in tables.rows_of(board, problem):
        rows[row.labelled, row.method, row.variant, row.metric] = row
    sets = []
    for title, columns in _columns_by_set(board, problem).items():
        made = _metric_set(board, problem, title, columns, budgets, rows)
        if made.budgets:
            sets.append(made)
    cost = tables.items_of(board.cost, problem)
    if cost:
        sets.append(_cost_set(cost, budgets))
    return sets


def _columns_by_set(board: Board, problem: Problem) -> dict[str, list[ColumnFacts]]:
    by_set: dict[str, list[ColumnFacts]] = {}
    for column in tables.list_columns(board, problem):
        by_set.setdefault(set_title(column, problem.task), []).append(column)
    return by_set


def set_title(column: ColumnFacts, task: str) -> str:
    """The set that a column stands in."""
    if column.kind in KIND_TITLES:
        return KIND_TITLES[column.kind]
    if task == "classification":
        return "Classification"
    if column.key in BOUNDARY:
        return "Boundary"
    is_overlap = column.key in OVERLAP or column.kind == "gain"
    return "Overlap" if is_overlap else "Other metrics"


def _metric_set(
    board: Board,
    problem: Problem,
    title: str,
    columns: Sequence[ColumnFacts],
    budgets: Sequence[BudgetLines],
    rows: Mapping[tuple[int, str, str, str], Row],
) -> ColumnSet:
    unit = board.datasets[problem.dataset].distance_unit
    heads = []
    for column in columns:
        arrow = "↑" if column.better == "higher" else "↓"
        sign = tables.unit(column, unit)
        shown = arrow if sign in ("", "0 to 1") else f"{arrow} {sign}"
        heads.append(SetHead(column.key, column.better, column.title, shown, column.help))
    blocks = []
    for budget in budgets:
        lines = []
        for line in budget.lines:
            head = line.head
            cells = []
            for column in columns:
                row = rows.get((head.labelled, head.method, head.variant, column.key))
                cells.append(_metric_cell(column, row, line.is_reference))
            if any(cell.value is not None for cell in cells):
                lines.append(SetLine(line, cells))
        if lines:
            blocks.append((budget.text, budget.labelled, lines))
    return ColumnSet(_key(title), title, heads, blocks)


def _metric_cell(column: ColumnFacts, row: Row | None, is_reference: bool) -> SetCell:
    if row is None:
        is_own_base = is_reference and column.key in tables.GAINS
        why = "Gains are measured from this row." if is_own_base else "Not scored in this run."
        return SetCell(column.key, None, "n/a", "", why)
    why = ""
    if row.status != "ok":
        why = f"{tables.status_title(row.status)}: {tables.reason(row)}"
    if row.mean is None or not tables.known(row.mean):
        return SetCell(column.key, None, "n/a", "", why)
    interval = with_minus(tables.interval(row, column.digits))
    text = number_text(row.mean, column.digits)
    return SetCell(column.key, row.mean, text, interval, why)


def _cost_set(cost: Sequence[RowCost], budgets: Sequence[BudgetLines]) -> ColumnSet:
    columns = measured_columns(cost)
    by_row = {(item.labelled, item.method, item.variant): item for item in cost}
    blocks = []
    for budget in budgets:
        lines = []
        for line in budget.lines:
            item = by_row.get((line.head.labelled, line.head.method, line.head.variant))
            if item is not None:
                lines.append(
                    SetLine(line, [_cost_cell(item, key, unit) for key, _, unit in columns])
                )
        if lines:
            blocks.append((budget.text, budget.labelled, lines))
    meaning = "Mean over the finished runs of the row."
    heads = [SetHead(key, "", title, "", meaning) for key, title, _ in columns]
    return ColumnSet("cost", "Cost", heads, blocks)


def _cost_cell(item: RowCost, key: str, unit: str) -> SetCell:
    return SetCell(key, None, cost_text(getattr(item, key), unit), "", "")


def _key(title: str) -> str:
    return title.lower().replace(" ", "-")
