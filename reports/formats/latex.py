r"""The tables of a board as LaTeX: `\input` the file; it needs the package booktabs alone."""

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

NAMED = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
ESCAPED = {sign: f"\\{sign}" for sign in "&%$#_{}"}
# After a line break these would be its arguments.
BRACED = {sign: f"{{{sign}}}" for sign in "[]*"}
MATHS = {
    "†": r"$\dagger$",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}
SPECIAL = {**NAMED, **ESCAPED, **BRACED, **MATHS}
# reports/static/copy.js escapes alike.
PATTERN = re.compile(r"[\\~^<>|&%$#_{}\[\]*†−±×≤≥↑↓]|-(?=-)")
ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$"}


def render_latex(board: Board) -> str:
    """Each table as a float with caption and label; warnings are comments above."""
    lines = [
        f"% {on_one_line(board.suite.title)}. {on_one_line(made_with(board))}.",
        r"% Needs \usepackage{booktabs}.",
    ]
    for title, text in list_warnings(board):
        lines.append(f"% {title}: {on_one_line(text)}")
    for table in main_tables(board):
        lines += ["", *_float_lines(table)]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text as itself, on one line; two hyphens do not melt into a dash."""
    return PATTERN.sub(lambda sign: SPECIAL.get(sign[0], "-{}"), on_one_line(text))


def on_one_line(text: str) -> str:
    """Text with single spaces instead of line breaks and other white space."""
    return " ".join(text.split())


def _float_lines(table: Table) -> list[str]:
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.caption)}}}",
        rf"\label{{tab:{table.label}}}",
        rf"\begin{{tabular}}{{{_alignment(table)}}}",
        r"\toprule",
        _table_row(_heads(table)),
        r"\midrule",
        *[_line_row(table, line) for line in table.lines],
    ]
    if table.ceiling:
        lines += [r"\midrule", _line_row(table, table.ceiling)]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.notes:
        notes = " ".join(escape(note) for note in table.notes)
        lines.append(rf"\par\smallskip{{\footnotesize {notes}\par}}")
    return [*lines, r"\end{table}"]


def _alignment(table: Table) -> str:
    """A letter for each column: numbers to the right, gains with their verdict to the left."""
    letters = "l"
    for column in table.columns:
        letters += "ll" if column.key == GAIN else "r"
    return letters


def _heads(table: Table) -> list[str]:
    heads = ["Method"]
    for head, column in zip(table.heads, table.columns, strict=True):
        if column.key == GAIN:
            heads += [rf"{escape(head)} {{[}}95\% CI{{]}}", f"vs {escape(table.reference)}"]
        else:
            heads.append(f"{escape(head)} {ARROWS[column.better]}")
    return heads


def _line_row(table: Table, line: Line) -> str:
    if not line.cells:
        width = len(_heads(table)) - 1
        across = rf"\multicolumn{{{width}}}{{l}}{{{escape(line.status.lower())}}}"
        return _table_row([escape(line.name), across])
    cells = [escape(line.name)]
    for cell, column in zip(line.cells, table.columns, strict=True):
        cells.append(_cell_text(cell))
        if column.key == GAIN:
            cells.append(escape(line.verdict))
    return _table_row(cells)


def _cell_text(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.best:
        return rf"\textbf{{{text}}}"
    return rf"{text}$^\dagger$" if cell.tied else text


def _table_row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"
