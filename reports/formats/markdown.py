"""The main tables of a Board as Markdown: pipe tables, as GitHub and most other renderers read them."""

from __future__ import annotations

import re

from bench.board import Board
from reports.formats.main_table import Cell, Line, Table, banners, main_tables

SPECIAL = re.compile(
    r"[\\`*\[\]<>|~&$#]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])"
)  # "mean_teacher" stays as it is


def render(board: Board) -> str:
    """Every main table with what is needed to read it."""
    lines = [f"# {escape(board.suite['title'])}", ""]
    for title, text in banners(board):
        lines += [f"> **{title}.** {escape(text)}", ""]
    for table in main_tables(board):
        lines += _table(table)
    written = ", ".join(f"{name} {value}" for name, value in board.provenance.items())
    return "\n".join([*lines, f"Same numbers as in `board.json`, rounded. {escape(written)}.", ""])


def escape(text: str) -> str:
    """Text as itself, on one line and inside a table."""
    return SPECIAL.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def _table(table: Table) -> list[str]:
    arrows = ["↑" if column.better == "higher" else "↓" for column in table.columns]
    heads = [f"{escape(head)} {arrow}" for head, arrow in zip(table.heads, arrows, strict=True)]
    titles = ["Method", f"Labelled {escape(table.units)}", "Rank", *heads, "Subsets", "Remark"]
    sides = ["---", "---", *["---:"] * (len(heads) + 2), "---"]
    legend = [
        f"- {escape(c.title)}: {escape(c.help)} {c.better.capitalize()} is better."
        for c in table.columns
    ]
    return [
        f"## {escape(table.title)}", "", escape(table.caption), "", _row(titles), _row(sides),
        *(_line(line, len(heads)) for block in table.blocks for line in block), "",
        *(f"- {escape(note)}" for note in table.notes), *legend, "",
    ]  # fmt: skip


def _line(line: Line, columns: int) -> str:
    numbers = [_cell(cell) for cell in line.cells] or [""] * columns
    subsets = str(line.subsets) if line.cells else ""
    return _row(
        [escape(line.label), line.budget, line.rank, *numbers, subsets, escape(line.remark)]
    )


def _cell(cell: Cell) -> str:
    return " ".join(part for part in (cell.mean, cell.interval, cell.word) if part)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
