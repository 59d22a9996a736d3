"""The reference model of a leaderboard, trained on all labels: what it sees in images of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.api import Embeds
from bench.cell_folder import CellFolder
from bench.data.regions import label_maps
from bench.errors import BenchError, cut
from bench.scoring.features import Network

if TYPE_CHECKING:
    from bench.worker.predictors import ClassPredictor, Predictor

    Model = Predictor | ClassPredictor


class ModelFailsError(BenchError):
    """The reference model cannot be loaded, or fails on the images that it is to judge."""


@contextmanager
def _failures_named(deed: str) -> Iterator[None]:
    """Raise ModelFailsError where a method fails; what the machine or the user lacks is raised."""
    try:
        yield
    except (BenchError, OSError, MemoryError):
        raise
    except Exception as problem:  # whatever a method raises
        reason = cut(f"{type(problem).__name__}: {problem}")
        raise ModelFailsError(f"the reference model fails to {deed} ({reason})") from None


def load_reference(
    folder: CellFolder | None, device: str, plugins: Sequence[Path] = ()
) -> Model | None:
    """The model of a finished cell; None where there is no such cell.

    Its method may be in one of the plug-ins. Raises ModelFailsError where the method cannot load
    it.
    """
    if folder is None:
        return None
    from bench.worker.model import load_model

    with _failures_named("load"):
        return load_model(folder, device, plugins)


def embedding(model: Model | None) -> Network | None:
    """How it embeds images; None where there is no model, or it cannot embed."""
    if model is None or not isinstance(model.method, Embeds):
        return None
    return model.method.embed


def predict_classes(model: Model, images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Label maps (N H W) of images (N C H W) on the training grid; in classification labels (N).

    Raises ModelFailsError where the method gives none.
    """
    with _failures_named("predict"):
        probabilities = model.probabilities(images)
    predicted = label_maps(probabilities, model.spec.regions)
    classes: NDArray[np.uint8] = predicted.cpu().numpy().astype(np.uint8)
    return classes
