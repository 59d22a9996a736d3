"""A Board in every format, on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.board import Board, Panel, Sheet
from bench.store import write_text
from reports import exports


def write(
    out: Path, board: Board, panels: Sequence[Panel], sheets: Sequence[Sheet], per_case: Mapping[str, str]
) -> Path:
    """Write board.json, report/index.html, report/rows.csv and a table of all cases for each task; returns the page."""
    from reports import page

    folder = out / "report"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(out / "board.json", exports.board_json(board))
    write_text(folder / "rows.csv", exports.rows_csv(board))
    for task, table in per_case.items():
        if table:
            write_text(folder / exports.RESULTS[task], table)
    write_text(folder / "index.html", page.render(board, list(panels), list(sheets), per_case))
    return folder / "index.html"
