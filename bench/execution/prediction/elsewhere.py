"""Applies the models of finished cells to the other data sets of a suite (`test_on`)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from bench.cell_folder import CellFolder
from bench.data import cache
from bench.data.index import Index, read_index
from bench.execution.prediction.models import open_model
from bench.names import EXTERNAL
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import Plan
from bench.scoring.elsewhere import ElsewhereFolder, model_hash
from bench.worker.failures import MACHINE, describe_failure

log = logging.getLogger("bench.execution.prediction.elsewhere")


def cells_tested_on(plan: Plan, dataset: str) -> list[PlannedCell]:
    """The cells that are tested on another data set: all that leave a model, and failed ones."""
    cells = []
    for cell in plan.cells:
        is_trained = cell.method != EXTERNAL and cell.refusal is None and not cell.ladder
        if is_trained and cell.dataset != dataset:
            cells.append(cell)
    return cells


def predict_elsewhere(
    cell: CellFolder, dataset: str, decoded: Path, device: str, plugins: Sequence[Path]
) -> bool:
    """Predict all cases of another data set with the model of a finished cell.

    Returns whether that was due and is done. A model that fails on these images counts as worst; if
    the machine fails, the log says so and the cell stays untested. Raises BenchError if the model
    cannot be opened.
    """
    folder = ElsewhereFolder(cell, dataset)
    if folder.lacks_predictions:
        return False
    index = _read_index_once(decoded)
    model = model_hash(cell)
    if folder.has_predictions(index.data, model):
        return False
    folder.clear()
    predictor = open_model(cell, device, plugins)
    try:
        predictor.write(cache.test_images(decoded, index), folder.predictions)
    except Exception as problem:  # whatever a method meets on unfamiliar images
        kind, message = describe_failure(problem)
        log.warning("cell %s on %s: %s", cell.key, dataset, message)
        if kind in MACHINE:
            folder.clear()
            return False
        folder.write_failure(kind, message)
    folder.write_tested(index.data, model)
    return True


@lru_cache(maxsize=1)
def _read_index_once(decoded: Path) -> Index:
    """The index of a folder whose name changes with its content; read once for 10,000 cells."""
    return read_index(decoded)
