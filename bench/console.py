"""What the command line prints: the board as a table, status, and lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import registry, stages
from bench.board.schema import COLUMNS, HEADLINE, TASKS, Board, Row
from bench.execution.driver import place
from bench.store import Store


def table(board: Board) -> str:
    """The headline metric of every row, with interval and rank range: a table for each task."""
    return "\n\n".join(_table(board, task) for task in TASKS if task in board.suite["tasks"])


def _table(board: Board, task: str) -> str:
    rows = [row for row in board.rows if (row.task, row.metric) == (task, HEADLINE[task])]
    rows.sort(
        key=lambda row: (row.dataset, row.fraction, -(row.mean if row.mean is not None else -1))
    )
    lines = [["dataset", "labelled", "method", HEADLINE[task], "95% interval", "rank", ""]]
    for row in rows:
        lines.append(
            [row.dataset, f"{row.labelled} ({row.fraction:.0%})", _name(row), *_numbers(row)]
        )
    return aligned(lines)


def _name(row: Row) -> str:
    return row.method if row.variant == "default" else f"{row.method} ({row.variant})"


def _numbers(row: Row) -> list[str]:
    mean = "-" if row.mean is None else f"{row.mean:.3f}"
    interval = (
        "-" if row.lo is None or row.hi is None else f"[{max(0, row.lo):.3f}, {min(1, row.hi):.3f}]"
    )
    rank = (
        "-"
        if row.rank_lo is None
        else f"{row.rank_lo}"
        if row.rank_lo == row.rank_hi
        else f"{row.rank_lo}-{row.rank_hi}"
    )
    remark = row.interval if row.status == "ok" else f"{row.status}: {row.reason}"
    return [mean, interval, rank, remark]


def aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def status_text(store: Store) -> str:
    """Counts, running cells with their step, failures with their reason, results kept aside."""
    found = stages.status(store)
    counts = ", ".join(f"{found[name]} {name}" for name in ("done", "running", "failed", "missing"))
    lines = [f"{found['total']} cells: {counts}"]
    for key, told in found["running cells"].items():
        step = f"step {told['step']} of {told['steps']}" if told else "starting"
        lines.append(f"running  {_label(found['cells'][key])}: {step}")
    for key, failure in found["failures"].items():
        lines.append(
            f"failed   {_label(found['cells'][key])}: {failure['kind']}: {failure['message']} ({key})"
        )
    if found["times"]["cell"]:
        lines.append(_overhead(found["times"]))
    if found["aside"]:
        lines.append(
            f"{found['aside']} results of other settings or older code are kept aside and not on the board"
        )
    return "\n".join(lines)


def _overhead(times: Mapping[str, float]) -> str:
    """Where the seconds inside the finished cells went."""
    total = times["cell"]
    rest = total - times["train"] - times["import"] - times["part_wait"]
    parts = f"{times['part_wait'] / total:.1%} shared parts, " if times["part_wait"] else ""
    return (
        f"{total:.0f} s in cells: {times['train'] / total:.1%} training, {times['import'] / total:.1%} imports, "
        f"{parts}{rest / total:.1%} all else (predicting, writing)"
    )


def _label(cell: Mapping[str, Any]) -> str:
    variant = "" if cell["variant"] == "default" else f" ({cell['variant']})"
    named = place(cell["task"], cell["dataset"])
    return f"{cell['method']}{variant} on {named}, {cell['labelled']} labelled, subset {cell['subset']}"


def _methods(_: Path) -> list[str]:
    return [f"{name}: {info.card['summary']}" for name, info in registry.methods().items()]


def _datasets(_: Path) -> list[str]:
    return [
        f"{name}: {module.__doc__}"
        for name, (module, _factory) in sorted(registry.dataset_families().items())
    ]


def _suites(root: Path) -> list[str]:
    from bench.planning import suite

    files = sorted((root / "suites").rglob("*.yaml"))
    return [f"{file.relative_to(root)}: {suite.load(file).title}" for file in files]


def _metrics(_: Path) -> list[str]:
    return [
        f"{column.key}: {column.help} {column.better.capitalize()} is better." for column in COLUMNS
    ]


LISTS: dict[str, Callable[[Path], list[str]]] = {
    "methods": _methods,
    "datasets": _datasets,
    "suites": _suites,
    "metrics": _metrics,
}
