"""A Board in every format, on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.board import Board, Panel, Sheet
from bench.store import write_text
from reports import exports


def write(out: Path, board: Board, panels: Sequence[Panel], sheets: Sequence[Sheet], per_case_csv: str) -> Path:
    """Write board.json, report/index.html, report/rows.csv and report/results.csv; returns the page."""
    from reports import page

    folder = out / "report"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(out / "board.json", exports.board_json(board))
    write_text(folder / "rows.csv", exports.rows_csv(board))
    write_text(folder / "results.csv", per_case_csv)
    write_text(folder / "index.html", page.render(board, list(panels), list(sheets), per_case_csv))
    return folder / "index.html"
