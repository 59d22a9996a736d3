"""Checkpoints on the way, for suites that select one as a paper did; scoring chooses among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.api import Method
from bench.cell_folder import RUN_AGAIN
from bench.data import cache
from bench.data.index import Index
from bench.digests import FileDigest, check
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
        self.digests: dict[int, FileDigest] = {}
        self.by_validation = False
        if select is not None:
            start = min(select["start"], steps)
            candidates = {*range(select["every"], steps, select["every"]), steps}
            self.due = {step for step in candidates if step >= start}
            self.by_validation = select["by"] == "validation"

    def keep(self, step: int) -> None:
        """Save the state if this step is due; a method that trains several times overwrites it."""
        if step in self.due:
            target = self.folder / str(step)
            target.mkdir(parents=True, exist_ok=True)
            self.digests[step] = save_state(self.method.state(), target / STATE)

    def predict(self, predictor: Predictor, decoded: Path, index: Index, run: MethodRun) -> None:
        """Write the label maps of each state and delete it. The method keeps the last state."""
        from safetensors.torch import load_file

        for step in sorted(self.due):
            target = self.folder / str(step)
            state = check(target / STATE, self.digests.get(step), RUN_AGAIN)
            self.method.load(load_file(state), run)
            predictor.write(cache.test_images(decoded, index), target / "predictions")
            if self.by_validation:
                images = cache.test_images(decoded, index, "validation")
                predictor.write(images, target / "validation")
            (target / STATE).unlink()
