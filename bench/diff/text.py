"""A Difference in words: lines for a terminal, and the table cells that its page shows too."""

from __future__ import annotations

from collections.abc import Sequence

from bench.board.schema import Row
from bench.command_line.terminal import aligned
from bench.diff.compare import NOT_COMPARABLE, Change, Difference
from bench.names import dataset_label, method_label

CHANGED = ("dataset", "labelled", "method", "metric", "A", "B", "B - A", "95% interval", "over", "")
MOVED = ("dataset", "labelled", "method", "rank in A", "rank in B")
USUAL_KINDS = ("two-way", "subsets only")  # of intervals; others are worth a remark


def lines(difference: Difference) -> list[str]:
    """Everything but the alarms, which come first."""
    cells = difference.cells
    removed = [row_words(difference, row) for row in difference.removed]
    added = [row_words(difference, row) for row in difference.added]
    changed = [changed_words(change) for change in difference.changed]
    moved = [moved_words(difference, change) for change in difference.moved]
    settings = [f"{name}: {before} -> {after}" for name, before, after in difference.settings]
    return [
        f"A: {difference.before.folder}",
        f"B: {difference.after.folder}",
        f"cells: {cells.shared} in both, {cells.before_only} in A alone, "
        f"{cells.after_only} in B alone",
        *_block("settings that differ", settings),
        *_block("rows in A alone", removed),
        *_block("rows in B alone", added),
        *_block("scores that changed", _table_lines(CHANGED, changed)),
        *_block("ranks that moved", _table_lines(MOVED, moved)),
        f"{difference.equal} numbers are equal",
    ]


def _block(title: str, body: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in body)] if body else []


def _table_lines(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return aligned([headings, *rows]).splitlines() if rows else []


def changed_words(change: Change) -> list[str]:
    """The cells of a changed score, as CHANGED names them."""
    digits = change.column.digits
    remarks = [*_gap_remarks(change), _status_change(change), _cause_words(change)]
    return [
        *_row_cells(change.after),
        change.after.metric,
        _number(change.before, digits),
        _number(change.after, digits),
        _gap_text(change),
        _interval_text(change),
        _sample_size(change),
        "; ".join(remark for remark in remarks if remark),
    ]


def _gap_text(change: Change) -> str:
    if change.gap is not None:
        return f"{change.gap.mean:+.{change.column.digits}f}"
    return "-" if change.is_comparable else "not comparable"


def _interval_text(change: Change) -> str:
    """The interval that the verdict is read off; where nothing is tested, that of this change."""
    gap = change.gap
    ends = change.adjusted
    if ends is None and gap is not None and gap.lo is not None and gap.hi is not None:
        ends = (gap.lo, gap.hi)
    if ends is None:
        return "-"
    digits = change.column.digits
    lo, hi = ends
    return f"[{lo:+.{digits}f}, {hi:+.{digits}f}]"


def _sample_size(change: Change) -> str:
    """What a difference is taken over: '12 patients x 3 subsets', or '12 patients in 5 folds x'."""
    parts = []
    if change.patients:
        of_folds = f" in {change.folds} folds" if change.folds > 1 else ""
        parts.append(f"{change.patients} patients{of_folds}")
    if change.subsets:
        parts.append(f"{change.subsets} subsets")
    return " x ".join(parts) or "-"


def _gap_remarks(change: Change) -> list[str]:
    kind = change.gap.kind if change.gap else ""
    unusual = "" if kind in USUAL_KINDS else kind
    return [change.verdict, unusual, change.why.removeprefix(NOT_COMPARABLE)]


def _status_change(change: Change) -> str:
    before = _spaced(change.before.status)
    after = _spaced(change.after.status)
    return "" if before == after else f"{before} -> {after}"


def _cause_words(change: Change) -> str:
    return f"changed: {', '.join(change.causes)}" if change.causes else ""


def moved_words(difference: Difference, change: Change) -> list[str]:
    """The cells of a rank that moved, as MOVED names them."""
    before = _rank(change.before, difference.before.board.rows)
    after = _rank(change.after, difference.after.board.rows)
    return [*_row_cells(change.after), before, after]


def row_words(difference: Difference, row: Row) -> str:
    """A row with its headline score."""
    dataset, labelled, method = _row_cells(row)
    number = _number(row, difference.column(row.metric).digits)
    return f"{method} on {dataset}, {labelled} labelled: {row.metric} {number}"


def _row_cells(row: Row) -> list[str]:
    """Data set, labels and method."""
    dataset = dataset_label(row.task, row.dataset)
    labelled = f"{row.labelled} ({row.fraction:.0%})"
    return [dataset, labelled, method_label(row.method, row.variant)]


def _number(row: Row, digits: int) -> str:
    return _spaced(row.status) if row.mean is None else f"{row.mean:.{digits}f}"


def _spaced(status: str) -> str:
    return status.replace("_", " ")


def _rank(row: Row, rows: Sequence[Row]) -> str:
    """'1-2 of 5'."""
    if row.rank_lo is None:
        return "none"
    budget = row.row_id.budget
    ranked = 0
    for other in rows:
        same_column = other.row_id.budget == budget and other.metric == row.metric
        ranked += same_column and other.rank_lo is not None
    ranks = str(row.rank_lo) if row.rank_lo == row.rank_hi else f"{row.rank_lo}-{row.rank_hi}"
    return f"{ranks} of {ranked}"
