"""The time and memory that the runs of each row took."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from operator import attrgetter

from bench.board.rows import RowCells
from bench.board.schema import RowCost
from bench.cell_records import CellCost
from bench.planning.plan_file import Plan
from bench.store import Store
from bench.tuning.trials import trial_seconds


def costs_of_rows(store: Store, plan: Plan, rows: Sequence[RowCells]) -> list[RowCost]:
    """What each row took; none of rows without a finished cell of ours."""
    costs = []
    for cells in rows:
        measured = [result.cost for result in cells.results if result.cost is not None]
        if measured and not cells.selected:
            tuning = [trial_seconds(store, cell.study, plan.trials) for cell in cells.cells]
            costs.append(_row_cost(cells, measured, statistics.fmean(tuning)))
    return costs


def _row_cost(cells: RowCells, costs: Sequence[CellCost], tune_seconds: float) -> RowCost:
    def mean(name: str) -> float:
        return statistics.fmean(map(attrgetter(name), costs))

    return RowCost(
        task=cells.row.task,
        dataset=cells.row.dataset,
        fraction=cells.fraction,
        labelled=cells.row.labelled,
        method=cells.row.method,
        variant=cells.row.variant,
        train_seconds=mean("train_seconds"),
        part_seconds=mean("part_seconds"),
        segmenter_steps=mean("segmenter_steps"),
        peak_memory_mb=mean("peak_memory_mb"),
        parameters=mean("parameters"),
        inference_ms=mean("inference_ms"),
        tune_seconds=tune_seconds,
        devices=cells.devices,
    )
