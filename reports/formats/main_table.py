"""The main tables of a Board as words, one for each task and dataset: what Markdown and LaTeX print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.board import Board, Column, Row
from reports.page import tables
from reports.page.page import WIDE, rank_text


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


def banners(board: Board) -> list[tuple[str, str]]:
    """The warnings that stand above everything: (title, text)."""
    invented = [card["title"] for card in board.datasets.values() if card["synthetic"]]
    drawn = f"The images of {', '.join(invented)} are drawn by a program. The numbers say nothing about real patients."
    found = [("Warning", board.suite["note"])] if board.suite["note"] else []
    return found + ([("Synthetic demo data", drawn)] if invented else [])


def main_tables(board: Board) -> list[Table]:
    """Every main table, its numbers rounded and clipped as on the page."""
    return [_table(board, place) for place in tables.places(board) if tables.rows_of(board, place)]


def _table(board: Board, place: tables.Place) -> Table:
    task, dataset = place
    card, budgets, columns = (
        board.datasets[dataset],
        tables.budgets(board, place),
        tables.columns(board, place),
    )
    unit = tables.short_unit(card)
    images = (
        ""
        if unit == "image"
        else f" ({card['test_cases']} {tables.plural('image', card['test_cases'])})"
    )
    blocks = tuple(
        tuple(_line(budget, entry, columns) for entry in budget.entries) for budget in budgets
    )
    return Table(
        title=card["title"] if len(board.suite["tasks"]) == 1 else f"{card['title']}, {task}",
        caption=f"Mean over {card['test_groups']} test {tables.plural(unit, card['test_groups'])}{images}, "
        "with 95% intervals.",
        units=tables.plural(unit, 2),
        columns=tuple(columns),
        heads=tuple(_head(column, card["distance_unit"]) for column in columns),
        blocks=blocks,
        notes=tuple(_notes(card, budgets, columns)),
    )


def _notes(
    card: Mapping[str, Any], budgets: list[tables.Budget], columns: list[Column]
) -> Iterator[str]:
    """Why numbers are absent, what they rest on, and what weakens them."""
    for title, why, methods in tables.notes(budgets, columns):
        yield f"{title}, {methods}: {why}."
    if "nsd" in [column.key for column in columns]:
        yield f"NSD: tolerance {card['nsd_tolerance']} {card['distance_unit']}."
    for budget in budgets:
        for entry in budget.entries:
            for column in columns:
                if column.key in entry.rows and entry.rows[column.key].extractor:
                    yield _features(budget, entry, column)
    weak = {
        row.interval
        for budget in budgets
        for entry in budget.entries
        for row in entry.rows.values()
    }
    yield from (f"{word}: {text}" for word, text in WIDE.items() if word in weak)


def _features(budget: tables.Budget, entry: tables.Entry, column: Column) -> str:
    """What a number of synthetic images must not be read without."""
    row = entry.rows[column.key]
    floor = (
        f", real images score {tables.number(row.floor, column.digits)}"
        if tables.known(row.floor)
        else ""
    )
    biased = (
        ", biased upward below n = 2048"
        if column.key in tables.FRECHET and (row.n or 0) < 2048
        else ""
    )
    count = f", n = {row.n}" if row.n is not None else ""
    return f"{column.title}, {entry.label} at {budget.text}: features {row.extractor}{count}{floor}{biased}."


def _head(column: Column, distance_unit: str) -> str:
    unit = tables.unit(column, distance_unit)
    return column.title + (f", {unit}" if unit not in ("", "0 to 1") else "")


def _line(budget: tables.Budget, entry: tables.Entry, columns: list[Column]) -> Line:
    head = entry.head
    letter = f" {budget.ties[head.tie_group]}" if head.tie_group in budget.ties else ""
    remark = "" if head.status == "ok" else f"{tables.STATUS[head.status]}: {tables.reason(head)}"
    return Line(
        label=entry.label,
        budget=budget.text,
        rank="" if entry.empty else rank_text(head) + letter,
        cells=()
        if entry.empty
        else tuple(_cell(entry.rows.get(column.key), head, column.digits) for column in columns),
        subsets=head.n_subsets,
        remark=remark,
    )


def _cell(row: Row | None, head: Row, digits: int) -> Cell:
    if row is None:
        return Cell("n/a", "", "")
    said = row is not head and row.interval == head.interval
    word = "" if said or row.interval not in WIDE else row.interval
    return Cell(tables.number(row.mean, digits), tables.interval(row, digits), word)
