"""The one way to a finished model: `predict` and `test_on` open it here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cell_folder import CellFolder
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.worker.predictors import ClassPredictor, Predictor


def open_model(
    folder: CellFolder, device: str, plugins: Sequence[Path]
) -> Predictor | ClassPredictor:
    """The model of a cell. Raises BenchError if there is none or if its file is damaged."""
    from bench.worker.model import load_model

    try:
        return load_model(folder, device, plugins)
    except BenchError:
        raise
    except Exception as problem:  # whatever the decoder of weights or the method's `load` raises
        reason = " ".join(str(problem).split())[:200]
        raise BenchError(
            f"{folder.model} cannot be loaded ({type(problem).__name__}: {reason}); "
            f"remove {folder.path} and run the suite again"
        ) from None
