"""What rows took, in words."""

from __future__ import annotations

from collections.abc import Sequence

from bench.board.schema import RowCost
from reports.page.tables import known

COST_COLUMNS = (
    ("train_seconds", "Training", "seconds"),
    ("part_seconds", "Shared parts", "seconds"),
    ("tune_seconds", "Tuning", "seconds"),
    ("segmenter_steps", "Segmenter steps", "count"),
    ("inference_ms", "Inference, ms per image", "tenths"),
    ("peak_memory_mb", "Peak memory, MB", "count"),
    ("parameters", "Saved weights", "count"),
)


def measured_columns(cost: Sequence[RowCost]) -> list[tuple[str, str, str]]:
    """The columns in which anything was measured."""
    measured: set[str] = set()
    for item in cost:
        measured.update(key for key, _, _ in COST_COLUMNS if getattr(item, key))
    return [column for column in COST_COLUMNS if column[0] in measured]


def cost_text(value: float | None, unit: str) -> str:
    """A cost in words."""
    if value is None or not known(value):
        return "not measured"
    if unit == "seconds":
        return _duration(value)
    return f"{value:,.1f}" if unit == "tenths" else f"{value:,.0f}"


def _duration(seconds: float) -> str:
    # With more digits than in bench.names.duration: methods are compared by these numbers.
    if seconds < 90:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
