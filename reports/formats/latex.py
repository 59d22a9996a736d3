r"""The main tables of a Board as LaTeX: `\input` the file; it needs the package booktabs alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.board import Board
from reports.formats.main_table import Cell, Line, Table, banners, main_tables

ACROSS = 4  # metrics side by side: more do not fit a page
SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{sign: f"{{{sign}}}" for sign in "[]*"},  # after a line break these would be its arguments
}  # fmt: skip
PATTERN = re.compile(r"[\\~^<>|&%$#_{}\[\]*]|-(?=-)")


def render(board: Board) -> str:
    """Every main table as a float, with its warnings in the caption; at most four metrics across."""
    written = ", ".join(f"{name} {value}" for name, value in board.provenance.items())
    lines = [
        f"% {_plain(board.suite['title'])}. {_plain(written)}.",
        r"% Needs \usepackage{booktabs}.",
    ]
    warnings = [f"{title}: {text}" for title, text in banners(board)]
    for table in main_tables(board):
        starts = range(0, len(table.columns), ACROSS)
        for start in starts:
            lines += [
                "",
                *_float(
                    table, slice(start, start + ACROSS), warnings if start == starts[0] else []
                ),
            ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text as itself, on one line; two hyphens do not melt into a dash."""
    return PATTERN.sub(lambda found: SPECIAL.get(found[0], "-{}"), _plain(text))


def _plain(text: str) -> str:
    return " ".join(text.split())


def _float(table: Table, shown: slice, warnings: Sequence[str]) -> list[str]:
    columns = table.columns[shown]
    caption = " ".join([f"{table.title}. {table.caption}", *warnings])
    arrows = [r"$\uparrow$" if column.better == "higher" else r"$\downarrow$" for column in columns]
    heads = [
        f"{escape(head)} {arrow}" for head, arrow in zip(table.heads[shown], arrows, strict=True)
    ]
    body: list[str] = []
    for block in table.blocks:
        body += [r"\midrule", *(_line(line, shown, len(columns)) for line in block)]
    return [
        r"\begin{table}",
        rf"\caption{{{escape(caption)}}}",
        r"\centering\footnotesize",
        rf"\begin{{tabular}}{{lll{'c' * len(columns)}r}}",
        r"\toprule",
        rf"{' & '.join(['Method', f'Labelled {escape(table.units)}', 'Rank', *heads, 'Subsets'])} \\",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par {escape(note)}" for note in _notes(table)),
        r"\end{table}",
    ]


def _notes(table: Table) -> list[str]:
    lines = [line for block in table.blocks for line in block if line.remark and line.cells]
    return [*(f"{line.label} at {line.budget}: {line.remark}." for line in lines), *table.notes]


def _line(line: Line, shown: slice, columns: int) -> str:
    start = [escape(line.label), escape(line.budget)]
    if not line.cells:
        return rf"{' & '.join(start)} & \multicolumn{{{columns + 2}}}{{p{{.5\linewidth}}}}{{{escape(line.remark)}}} \\"
    return (
        rf"{' & '.join([*start, line.rank, *map(_cell, line.cells[shown]), str(line.subsets)])} \\"
    )


def _cell(cell: Cell) -> str:
    r"""The mean over its interval; `\shortstack` breaks lines inside a cell."""
    below = " ".join(part for part in (cell.interval, cell.word) if part)
    return rf"\shortstack{{{cell.mean} \\ {{\scriptsize {below}}}}}" if below else cell.mean
