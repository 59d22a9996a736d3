"""The main tables of a board as Markdown: pipe tables, as GitHub and most others read them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.board.schema import Board
from reports.formats.main_table import Cell, Line, Table, list_warnings, made_with, main_tables

# Underscores inside a word need no escape: "mean_teacher" stays as it is.
SPECIAL = re.compile(r"[\\`*\[\]<>|~&$#]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")
ARROWS = {"higher": "↑", "lower": "↓"}


def render_markdown(board: Board) -> str:
    """Every main table with what is needed to read it."""
    lines = [f"# {escape(board.suite.title)}", ""]
    for title, text in list_warnings(board):
        lines += [f"> **{title}.** {escape(text)}", ""]
    for table in main_tables(board):
        lines += _table_lines(table)
    lines += [
        f"Numbers are rounded; `board.json` has them in full. {escape(made_with(board))}.",
        "",
    ]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Text as itself, on one line and inside a table."""
    return SPECIAL.sub(lambda sign: f"\\{sign[0]}", " ".join(text.split()))


def _table_lines(table: Table) -> list[str]:
    heads = []
    for title, column in zip(table.heads, table.columns, strict=True):
        heads.append(f"{escape(title)} {ARROWS[column.better]}")
    titles = ["Method", f"Labelled {escape(table.units)}", "Rank", *heads, "Draws", "Remark"]
    alignments = ["---", "---", *["---:"] * (len(heads) + 2), "---"]
    lines = [f"## {escape(table.title)}", "", escape(table.caption), ""]
    lines += [_pipe_row(titles), _pipe_row(alignments)]
    lines += [_pipe_line(line, len(heads)) for line in table.lines]
    lines.append("")
    lines += [f"- {escape(note)}" for note in table.notes]
    for column in table.columns:
        better = f"{column.better.capitalize()} is better."
        lines.append(f"- {escape(column.title)}: {escape(column.help)} {better}")
    return [*lines, ""]


def _pipe_line(line: Line, columns: int) -> str:
    numbers = [""] * columns
    subsets = ""
    if line.cells:
        numbers = [_cell_text(cell) for cell in line.cells]
        subsets = str(line.subsets)
    start = [escape(line.label), line.budget, line.rank]
    return _pipe_row([*start, *numbers, subsets, escape(line.remark)])


def _cell_text(cell: Cell) -> str:
    return " ".join(part for part in (cell.mean, cell.interval, cell.word) if part)


def _pipe_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
