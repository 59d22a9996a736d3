"""The main tables of a board as Markdown: pipe tables, as GitHub and most others read them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.board.schema import Board
from reports.formats.main_table import (
    GAIN,
    Cell,
    Line,
    Table,
    list_warnings,
    made_with,
    main_tables,
)
from reports.page.elsewhere import ElsewhereTable, list_tables
from reports.page.tables import TIE

# Underscores inside a word need no escape: "mean_teacher" stays as it is.
SPECIAL = re.compile(r"[\\`*\[\]<>|~&$#]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")
ARROWS = {"higher": "↑", "lower": "↓"}


def render_markdown(board: Board) -> str:
    """Every main table with what is needed to read it."""
    lines = [f"# {escape(board.suite.title)}", ""]
    for title, text in list_warnings(board):
        lines += [f"> **{title}.** {escape(text)}", ""]
    drawn = main_tables(board)
    for table in drawn:
        lines += _table_lines(table)
    for other in list_tables(board):
        lines += _elsewhere_lines(other)
    lines += _column_lines(drawn)
    lines += [
        f"Numbers are rounded; `board.json` has them in full. {escape(made_with(board))}.",
        "",
    ]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Text as itself, on one line and inside a table."""
    return SPECIAL.sub(lambda sign: f"\\{sign[0]}", " ".join(text.split()))


def _table_lines(table: Table) -> list[str]:
    heads = ["Method"]
    alignments = ["---"]
    for head, column in zip(table.heads, table.columns, strict=True):
        if column.key == GAIN:
            heads += [f"{escape(head)} \\[95% CI\\]", f"vs {escape(table.reference)}"]
            alignments += ["---", "---"]
        else:
            heads.append(f"{escape(head)} {ARROWS[column.better]}")
            alignments.append("---:")
    lines = [f"## {escape(table.title)}", "", escape(table.caption), ""]
    lines += [_pipe_row(heads), _pipe_row(alignments)]
    lines += [_pipe_line(table, line, len(heads)) for line in table.all_lines]
    lines.append("")
    lines += [f"- {escape(note)}" for note in table.notes]
    return [*lines, ""]


def _elsewhere_lines(table: ElsewhereTable) -> list[str]:
    """A table of models on data that they were not trained on."""
    heads = ["Labelled", "Method", *[f"{escape(column.title)}" for column in table.columns]]
    lines = [f"## {escape(table.title)}", "", _pipe_row(heads), _pipe_row(["---"] * len(heads))]
    for line in table.lines:
        numbers = [escape(line.text(column)) for column in table.columns]
        lines.append(_pipe_row([str(line.labelled), escape(line.name), *numbers]))
    return [*lines, ""]


def _column_lines(drawn: Sequence[Table]) -> list[str]:
    """What each column means, once for all tables."""
    meanings: dict[str, str] = {}
    for table in drawn:
        for column in table.columns:
            better = f"{column.better.capitalize()} is better."
            meanings[column.title] = f"- {escape(column.title)}: {escape(column.help)} {better}"
    return ["## Columns", "", *meanings.values(), ""]


def _pipe_line(table: Table, line: Line, columns: int) -> str:
    cells = [escape(line.name)]
    if not line.cells:
        blank = [""] * (columns - 2)
        return _pipe_row([*cells, escape(line.status.lower()), *blank])
    for cell, column in zip(line.cells, table.columns, strict=True):
        cells.append(_cell_text(cell))
        if column.key == GAIN:
            cells.append(escape(line.verdict))
    return _pipe_row(cells)


def _cell_text(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.best:
        return f"**{text}**"
    return f"{text} {TIE}" if cell.tied else text


def _pipe_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
