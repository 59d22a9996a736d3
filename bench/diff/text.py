"""A Difference in words: lines for a terminal, and the cells that its page shows, too."""

from __future__ import annotations

from collections.abc import Sequence

from bench.board.schema import Row
from bench.console import aligned
from bench.diff.compare import COLUMN, Change, Difference
from bench.execution.driver import place

CHANGED = ("dataset", "labelled", "method", "metric", "A", "B", "B - A", "95% interval", "over", "")
MOVED = ("dataset", "labelled", "method", "rank in A", "rank in B")


def lines(found: Difference) -> list[str]:
    """Everything but the alarms, which come first."""
    both, before, after = found.cells
    told = [f"A: {found.before.place}", f"B: {found.after.place}"]
    told.append(f"cells: {both} in both, {before} in A alone, {after} in B alone")
    told += _block(
        "settings that differ", [f"{name}: {one} -> {other}" for name, one, other in found.settings]
    )
    told += _block("rows in A alone", [row_words(row) for row in found.removed])
    told += _block("rows in B alone", [row_words(row) for row in found.added])
    told += _block(
        "scores that changed", _table(CHANGED, [changed_words(change) for change in found.changed])
    )
    told += _block(
        "ranks that moved", _table(MOVED, [moved_words(found, change) for change in found.moved])
    )
    return [*told, f"{found.equal} numbers are equal"]


def _block(title: str, body: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in body)] if body else []


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return aligned([heads, *rows]).splitlines() if rows else []


def changed_words(change: Change) -> list[str]:
    """The cells of a changed score, as CHANGED names them."""
    digits, gap = COLUMN[change.after.metric].digits, change.gap
    difference = (
        f"{gap.mean:+.{digits}f}"
        if gap
        else "not comparable"
        if "not comparable" in change.why
        else "-"
    )
    bounded = gap is not None and gap.lo is not None
    interval = f"[{gap.lo:+.{digits}f}, {gap.hi:+.{digits}f}]" if gap and bounded else "-"
    over = [f"{change.patients} patients"] if change.patients else []
    over += [f"{change.subsets} subsets"] if change.subsets else []
    causes = f"changed: {', '.join(change.causes)}" if change.causes else ""
    kind = gap.kind if gap and gap.kind not in ("two-way", "subsets only") else ""
    remark = [
        change.verdict,
        kind,
        change.why.removeprefix("not comparable: "),
        _statuses(change),
        causes,
    ]
    return [
        *_place(change.after), change.after.metric, _number(change.before, digits), _number(change.after, digits),
        difference, interval, " x ".join(over) or "-", "; ".join(part for part in remark if part),
    ]  # fmt: skip


def moved_words(found: Difference, change: Change) -> list[str]:
    """The cells of a rank that moved, as MOVED names them."""
    sides = ((change.before, found.before), (change.after, found.after))
    return [*_place(change.after), *(_rank(row, side.board.rows) for row, side in sides)]


def row_words(row: Row) -> str:
    """A row with its headline score."""
    dataset, labelled, method = _place(row)
    return f"{method} on {dataset}, {labelled} labelled: {row.metric} {_number(row, COLUMN[row.metric].digits)}"


def _place(row: Row) -> list[str]:
    variant = "" if row.variant == "default" else f" ({row.variant})"
    return [
        place(row.task, row.dataset),
        f"{row.labelled} ({row.fraction:.0%})",
        f"{row.method}{variant}",
    ]


def _number(row: Row, digits: int) -> str:
    return row.status.replace("_", " ") if row.mean is None else f"{row.mean:.{digits}f}"


def _statuses(change: Change) -> str:
    one, other = change.before.status, change.after.status
    return "" if one == other else f"{one.replace('_', ' ')} -> {other.replace('_', ' ')}"


def _rank(row: Row, rows: Sequence[Row]) -> str:
    """'1-2 of 5'."""
    if row.rank_lo is None:
        return "none"
    budget = _budget(row)
    ranked = [other for other in rows if other.rank_lo is not None and _budget(other) == budget]
    span = str(row.rank_lo) if row.rank_lo == row.rank_hi else f"{row.rank_lo}-{row.rank_hi}"
    return f"{span} of {len(ranked)}"


def _budget(row: Row) -> tuple[str, str, int, str]:
    return row.task, row.dataset, row.labelled, row.metric
