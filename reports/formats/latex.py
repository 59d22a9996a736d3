r"""The main tables of a board as LaTeX: `\input` the file; it needs the package booktabs alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.board.schema import Board
from reports.formats.main_table import Cell, Line, Table, list_warnings, made_with, main_tables

ACROSS = 4  # metrics side by side: more do not fit a page
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
SPECIAL = {**NAMED, **ESCAPED, **BRACED, "†": r"$\dagger$"}
PATTERN = re.compile(r"[\\~^<>|&%$#_{}\[\]*†]|-(?=-)")
ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$"}


def render_latex(board: Board) -> str:
    """Every main table as floats of at most four metrics, with the warnings in the caption."""
    lines = [
        f"% {_on_one_line(board.suite.title)}. {_on_one_line(made_with(board))}.",
        r"% Needs \usepackage{booktabs}.",
    ]
    warnings = [f"{title}: {text}" for title, text in list_warnings(board)]
    for table in main_tables(board):
        for start in range(0, len(table.columns), ACROSS):
            shown = slice(start, start + ACROSS)
            heading = warnings if start == 0 else []
            lines += ["", *_float_lines(table, shown, heading)]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text as itself, on one line; two hyphens do not melt into a dash."""
    return PATTERN.sub(lambda sign: SPECIAL.get(sign[0], "-{}"), _on_one_line(text))


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _float_lines(table: Table, shown: slice, warnings: Sequence[str]) -> list[str]:
    columns = table.columns[shown]
    caption = " ".join([f"{table.title}. {table.caption}", *warnings])
    heads = ["Method", f"Labelled {escape(table.units)}", "Rank"]
    for head, column in zip(table.heads[shown], columns, strict=True):
        heads.append(f"{escape(head)} {ARROWS[column.better]}")
    heads.append("Draws")
    lines = [
        r"\begin{table}",
        rf"\caption{{{escape(caption)}}}",
        r"\centering\footnotesize",
        rf"\begin{{tabular}}{{lll{'c' * len(columns)}r}}",
        r"\toprule",
        _table_row(heads),
    ]
    for block in table.blocks:
        lines.append(r"\midrule")
        lines += [_line_row(line, shown, len(columns)) for line in block]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par {escape(note)}" for note in _list_notes(table)]
    return [*lines, r"\end{table}"]


def _list_notes(table: Table) -> list[str]:
    """Remarks of lines that have numbers, then the notes of the table."""
    remarked = [line for line in table.lines if line.remark and line.cells]
    remarks = [f"{line.label} at {line.budget}: {line.remark}." for line in remarked]
    return [*remarks, *table.notes]


def _line_row(line: Line, shown: slice, columns: int) -> str:
    start = [escape(line.label), escape(line.budget)]
    if not line.cells:
        across = rf"\multicolumn{{{columns + 2}}}{{p{{.5\linewidth}}}}"
        return _table_row([*start, f"{across}{{{escape(line.remark)}}}"])
    numbers = [_cell_text(cell) for cell in line.cells[shown]]
    return _table_row([*start, escape(line.rank), *numbers, str(line.subsets)])


def _table_row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def _cell_text(cell: Cell) -> str:
    r"""The mean over its interval; `\shortstack` breaks lines inside a cell."""
    below = " ".join(part for part in (cell.interval, cell.word) if part)
    if not below:
        return cell.mean
    return rf"\shortstack{{{cell.mean} \\ {{\scriptsize {below}}}}}"
