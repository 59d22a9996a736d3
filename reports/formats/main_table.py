"""The main tables of a board as words, one for each task and dataset: for Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.board import Board, Column, Row
from reports.page import tables
from reports.page.tables import Budget, Entry, Item, Problem


@dataclass(frozen=True, slots=True)
class Cell:
    """One number in words."""

    mean: str  # "n/a" where there is none
    interval: str  # "[0.795, 0.829]", or ""
    word: str  # what weakens the interval, where the line has not said so already


@dataclass(frozen=True, slots=True)
class Line:
    """One method at one budget."""

    label: str
    budget: str  # "4 of 40 (10%)"
    rank: str  # "1-2 a": the range of ranks, and the letter of the tie group
    cells: tuple[Cell, ...]  # none where the line has no number at all
    subsets: int
    remark: str  # status and reason where they are not "ok"


@dataclass(frozen=True, slots=True)
class Table:
    """One task on one dataset."""

    title: str
    caption: str
    units: str  # what is labelled
    columns: tuple[Column, ...]
    heads: tuple[str, ...]  # title and unit of each column
    blocks: tuple[tuple[Line, ...], ...]  # by budget, best first
    notes: tuple[str, ...]  # why numbers are absent, and what weakens intervals

    @property
    def lines(self) -> list[Line]:
        """The lines of all budgets."""
        return [line for block in self.blocks for line in block]


def list_warnings(board: Board) -> list[tuple[str, str]]:
    """The warnings that stand above everything: (title, text)."""
    warnings = []
    if board.suite["note"]:
        warnings.append(("Warning", board.suite["note"]))
    invented = [card["title"] for card in board.datasets.values() if card["synthetic"]]
    if invented:
        text = (
            f"The images of {', '.join(invented)} are drawn by a program. "
            "The numbers say nothing about real patients."
        )
        warnings.append(("Synthetic demo data", text))
    return warnings


def made_with(board: Board) -> str:
    """The provenance of a board on one line."""
    return ", ".join(f"{name} {value}" for name, value in board.provenance.items())


def main_tables(board: Board) -> list[Table]:
    """Every main table, its numbers rounded and clipped as on the page."""
    problems = tables.list_problems(board)
    return [_make_table(board, problem) for problem in problems if tables.rows_of(board, problem)]


def _make_table(board: Board, problem: Problem) -> Table:
    card = board.datasets[problem.dataset]
    budgets = tables.budgets_of(board, problem)
    columns = tables.list_columns(board, problem)
    blocks = []
    for budget in budgets:
        blocks.append(tuple(_make_line(budget, entry, columns) for entry in budget.entries))
    return Table(
        title=tables.problem_title(board, problem),
        caption=_caption(card),
        units=tables.plural(tables.short_unit(card), 2),
        columns=tuple(columns),
        heads=tuple(_head(column, card["distance_unit"]) for column in columns),
        blocks=tuple(blocks),
        notes=tuple(_list_notes(card, budgets, columns)),
    )


def _caption(card: Item) -> str:
    unit = tables.short_unit(card)
    tested = f"{card['test_groups']} test {tables.plural(unit, card['test_groups'])}"
    if unit != "image":
        tested += f" ({card['test_cases']} {tables.plural('image', card['test_cases'])})"
    return f"Mean over {tested}, with 95% intervals."


def _head(column: Column, distance_unit: str) -> str:
    unit = tables.unit(column, distance_unit)
    return column.title if unit in ("", "0 to 1") else f"{column.title}, {unit}"


def _make_line(budget: Budget, entry: Entry, columns: Sequence[Column]) -> Line:
    head = entry.head
    remark = ""
    if head.status != "ok":
        remark = f"{tables.status_title(head.status)}: {tables.reason(head)}"
    if entry.empty:
        return Line(entry.label, budget.text, "", (), head.n_subsets, remark)
    rank = tables.rank_text(head)
    if head.tie_group in budget.ties:
        rank = f"{rank} {budget.ties[head.tie_group]}"
    cells = tuple(_make_cell(entry.rows.get(column.key), head, column) for column in columns)
    return Line(entry.label, budget.text, rank, cells, head.n_subsets, remark)


def _make_cell(row: Row | None, head: Row, column: Column) -> Cell:
    if row is None:
        return Cell("n/a", "", "")
    mean = tables.number(row.mean, column.digits)
    interval = tables.interval(row, column.digits)
    said = row is not head and row.interval == head.interval
    word = row.interval if row.interval in tables.WIDE and not said else ""
    return Cell(mean, interval, word)


def _list_notes(card: Item, budgets: list[Budget], columns: list[Column]) -> Iterator[str]:
    """Why numbers are absent, what they rest on, and what weakens them."""
    for title, why, methods in tables.list_notes(budgets, columns):
        yield f"{title}, {methods}: {why}."
    if "nsd" in {column.key for column in columns}:
        yield f"NSD: tolerance {card['nsd_tolerance']} {card['distance_unit']}."
    kinds: set[str] = set()
    for budget in budgets:
        for entry in budget.entries:
            yield from _feature_notes(budget, entry, columns)
            kinds.update(row.interval for row in entry.rows.values())
    for word, meaning in tables.WIDE.items():
        if word in kinds:
            yield f"{word}: {meaning}"


def _feature_notes(budget: Budget, entry: Entry, columns: list[Column]) -> Iterator[str]:
    """What a number of synthetic images must not be read without."""
    for column in columns:
        row = entry.rows.get(column.key)
        if row is None or not row.extractor:
            continue
        parts = [f"features {row.extractor}"]
        if row.n is not None:
            parts.append(f"n = {row.n}")
        if tables.known(row.floor):
            parts.append(f"real images score {tables.number(row.floor, column.digits)}")
        if column.key in tables.FRECHET and (row.n or 0) < 2048:
            parts.append("biased upward below n = 2048")
        yield f"{column.title}, {entry.label} at {budget.text}: {', '.join(parts)}."
