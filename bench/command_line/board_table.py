"""The leaderboard as a table on the terminal."""

from __future__ import annotations

from bench.board.schema import HEADLINE, TASKS, Board, Row
from bench.command_line.terminal import aligned
from bench.names import method_label


def board_table(board: Board) -> str:
    """The headline metric of every row, with interval and rank range: a table for each task."""
    tasks = [task for task in TASKS if task in board.suite.tasks]
    return "\n\n".join(_task_table(board, task) for task in tasks)


def _task_table(board: Board, task: str) -> str:
    headline = HEADLINE[task]
    rows = [row for row in board.rows if row.task == task and row.metric == headline]
    lines = [["dataset", "labelled", "method", headline, "95% CI", "rank", ""]]
    for row in sorted(rows, key=_reading_order):
        labelled = f"{row.labelled} ({row.fraction:.0%})"
        method = method_label(row.method, row.variant)
        numbers = [_mean_text(row), _interval_text(row), _rank_text(row)]
        lines.append([row.dataset, labelled, method, *numbers, _remark(row)])
    return aligned(lines)


def _reading_order(row: Row) -> tuple[str, float, float]:
    """By data set and budget, the best row first."""
    mean = -1.0 if row.mean is None else row.mean
    return row.dataset, row.fraction, -mean


def _mean_text(row: Row) -> str:
    return "-" if row.mean is None else f"{row.mean:.3f}"


def _interval_text(row: Row) -> str:
    """The interval, clipped to what the metric can be."""
    if row.lo is None or row.hi is None:
        return "-"
    return f"[{max(0, row.lo):.3f}, {min(1, row.hi):.3f}]"


def _rank_text(row: Row) -> str:
    if row.rank_lo is None:
        return "-"
    if row.rank_lo == row.rank_hi:
        return f"{row.rank_lo}"
    return f"{row.rank_lo}-{row.rank_hi}"


def _remark(row: Row) -> str:
    """The kind of the interval, or why there is no number."""
    return row.interval if row.status == "ok" else f"{row.status}: {row.reason}"
