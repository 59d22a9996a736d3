"""The loss of one training of each row."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.board.rows import RowCells
from bench.board.schema import TrainingCurve
from bench.cell_records import unusable_curves
from bench.store import Store

CURVE_POINTS = 60  # at most


def training_curves(store: Store, rows: Sequence[RowCells]) -> list[TrainingCurve]:
    """The loss of the first finished training of each row, else the first curve that it logged."""
    curves = []
    for cells in rows:
        ended = zip(cells.cells, cells.states, strict=True)
        done = [cell for cell, state in ended if state == "done"]
        history = store.cell(done[0].key).read_history() if done and not cells.selected else {}
        usable = [name for name in history if name not in unusable_curves(history)]
        if usable:
            name = "loss" if "loss" in usable else usable[0]
            curves.append(
                TrainingCurve(
                    task=cells.row.task,
                    dataset=cells.row.dataset,
                    labelled=cells.row.labelled,
                    fraction=cells.fraction,
                    method=cells.row.method,
                    variant=cells.row.variant,
                    subset=done[0].subset,
                    name=name,
                    points=thinned(history[name], CURVE_POINTS),
                )
            )
    return curves


def thinned(points: Sequence[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """At most so many points: the mean step and value of runs of equal length."""
    length = -(-len(points) // most)
    means = []
    for first in range(0, len(points), max(1, length)):
        part = points[first : first + length]
        step = round(statistics.fmean(step for step, _ in part))
        means.append((step, statistics.fmean(value for _, value in part)))
    return means
