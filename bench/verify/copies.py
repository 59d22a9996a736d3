"""Cells whose result is that of another cell: a folder that was copied over another one."""

from __future__ import annotations

from bench.cell_records import CellCost
from bench.names import cell_label
from bench.verify.files import ResultFolder, read_if_whole
from bench.verify.mismatch import Check, Mismatch


def check_copies(results: ResultFolder) -> Check:
    """No two finished cells took the same time to the last digit.

    A folder that replaces another one, its key and seals made to fit, holds what another training
    measured. Predictions and scores tell less: two trainings may honestly find nothing anywhere.
    """
    mismatches = []
    measured: dict[CellCost, str] = {}
    for cell, folder in results.cells("done"):
        result = read_if_whole(folder.read_result)
        cost = result.cost if result is not None else None
        if cost is None or cost.train_seconds <= 0:  # made elsewhere, or too quick for a clock
            continue
        first = measured.setdefault(cost, cell.key)
        if first != cell.key:
            where = results.relative_name(folder.path / "result.json")
            label = cell_label(cell)
            mismatches.append(
                Mismatch(where, label, "cost", f"that of cells/{first}", "a cost of its own")
            )
    return Check("measured times", len(measured) + len(mismatches), mismatches)
