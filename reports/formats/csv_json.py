"""A board as JSON and CSV, with the board's own numbers: none is rounded."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from bench.board.schema import Board, Row
from bench.files import csv_text
from reports.formats.main_table import GAIN, Line, Table, gain_interval, main_tables

TABLE_START = ("task", "dataset", "labelled", "method", "id", "variant")
TABLE_END = ("draws", "rank", "status", "reason")
GAIN_COLUMNS = ("gain_lo", "gain_hi", "verdict")
RESULTS = {"segmentation": "results.csv", "classification": "results_classification.csv"}


def board_json(board: Board) -> str:
    """The whole board, a line for each item, in declared order: as it comes on the page."""
    parts = []
    for part in fields(board):
        parts.append(f" {json.dumps(part.name)}: {_line_by_line(getattr(board, part.name))}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line_by_line(value: Any) -> str:
    """JSON with each item of a list on a line of its own."""
    if not isinstance(value, list | tuple) or not value:
        return _to_json(value)
    return "[\n  " + ",\n  ".join(_to_json(item) for item in value) + "\n ]"


def _to_json(value: Any) -> str:
    """JSON; NaN and infinity, which it does not know, become null."""
    try:
        return json.dumps(value, default=flat_fields, ensure_ascii=False, allow_nan=False)
    except ValueError:
        # Records become mappings, so that NaN is found in them too.
        plain = json.loads(json.dumps(value, default=flat_fields))
        return json.dumps(_without_nan(plain), ensure_ascii=False, allow_nan=False)


def flat_fields(record: Any) -> dict[str, Any]:
    """The fields of a record by name; records in it stay what they are."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def rows_csv(board: Board) -> str:
    """One line for each Row; an empty field is a number that does not exist."""
    header = [field.name for field in fields(Row)]
    lines: list[list[Any]] = [header]
    for row in board.rows:
        values = _without_nan(flat_fields(row))
        lines.append([csv_text.quote_formula(values[name]) for name in header])
    return csv_text.write_rows(lines)


def tables_csv(board: Board) -> str:
    """The tables of `main_table` as one, with a line for each method and numbers in full."""
    drawn = main_tables(board)
    metrics = _metrics_of(drawn)
    lines: list[list[Any]] = [[*TABLE_START, *metrics, *TABLE_END]]
    for table in drawn:
        for line in table.all_lines:
            values = {**_line_labels(table, line), **_line_numbers(table, line)}
            named = [*TABLE_START, *metrics, *TABLE_END]
            lines.append([csv_text.quote_formula(values.get(name)) for name in named])
    return csv_text.write_rows(_without_nan(lines))


def _metrics_of(drawn: Sequence[Table]) -> list[str]:
    """The columns of numbers in all tables; a gain has its interval and verdict behind it."""
    names: dict[str, None] = {}
    for table in drawn:
        for column in table.columns:
            names[column.key] = None
            if column.key == GAIN:
                names.update(dict.fromkeys(GAIN_COLUMNS))
    return list(names)


def _line_labels(table: Table, line: Line) -> dict[str, Any]:
    head = line.entry.head
    ties = [cell for cell in line.cells if cell.best or cell.tied]
    best = ""
    if ties and ties[0] is line.cells[0]:
        best = "best" if ties[0].best else "not separated from the best"
    return {
        "task": table.task,
        "dataset": table.dataset,
        "labelled": head.labelled,
        "method": line.name,
        "id": head.method,
        "variant": head.variant,
        "draws": head.n_subsets,
        "rank": best,
        "status": head.status,
        "reason": head.reason,
    }


def _line_numbers(table: Table, line: Line) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for column in table.columns:
        row = line.entry.rows.get(column.key)
        if row is None:
            continue
        if column.key != GAIN:
            numbers[column.key] = row.mean
        elif not line.entry.reference:
            lo, hi = gain_interval(row) or (None, None)
            numbers |= {GAIN: row.mean, "gain_lo": lo, "gain_hi": hi, "verdict": line.verdict}
    return numbers


def _without_nan(value: Any) -> Any:
    """The same value with None for every NaN and infinity."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
