"""States on the way, for suites that select a checkpoint as a paper did; scoring chooses among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.api import Method
from bench.data import cache
from bench.data.index import Index
from bench.worker.method_run import MethodRun
from bench.worker.predictors import Predictor
from bench.worker.shared_parts import save_state

STATE = "model.safetensors"


class Checkpoints:
    """Candidates of one training: states while it runs, their predictions after it."""

    def __init__(
        self, method: Method, select: Mapping[str, Any] | None, steps: int, folder: Path
    ) -> None:
        self.method = method
        self.folder = folder
        self.due: set[int] = set()
        self.by_validation = False
        if select is not None:
            start = min(select["start"], steps)
            candidates = {*range(select["every"], steps, select["every"]), steps}
            self.due = {step for step in candidates if step >= start}
            self.by_validation = select["by"] == "validation"

    def keep(self, step: int) -> None:
        """Save the state, if it is due; of a method that trains several times, the last one stays."""
        if step in self.due:
            place = self.folder / str(step)
            place.mkdir(parents=True, exist_ok=True)
            save_state(self.method.state(), place / STATE)

    def predict(self, predictor: Predictor, decoded: Path, index: Index, run: MethodRun) -> None:
        """Label maps of each state, which is not kept. Leaves the method at its last state."""
        from safetensors.torch import load_file

        for step in sorted(self.due):
            place = self.folder / str(step)
            self.method.load(load_file(place / STATE), run)
            predictor.write(cache.test_images(decoded, index), place / "predictions")
            if self.by_validation:
                images = cache.test_images(decoded, index, "validation")
                predictor.write(images, place / "validation")
            (place / STATE).unlink()
