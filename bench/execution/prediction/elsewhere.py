"""Applies the models of finished cells to the other data sets of a suite (`test_on`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.cell_folder import CellFolder
from bench.data import cache
from bench.data.index import read_index
from bench.execution.prediction.models import open_model
from bench.names import EXTERNAL
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import Plan
from bench.scoring.elsewhere import ElsewhereFolder, model_hash


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

    Returns whether that was due. Raises BenchError if the model cannot be used.
    """
    index = read_index(decoded)
    folder = ElsewhereFolder(cell, dataset)
    if folder.lacks_predictions:
        return False
    model = model_hash(cell)
    if folder.has_predictions(index.data, model):
        return False
    folder.clear()
    predictor = open_model(cell, device, plugins)
    predictor.write(cache.test_images(decoded, index), folder.predictions)
    folder.write_tested(index.data, model)
    return True
