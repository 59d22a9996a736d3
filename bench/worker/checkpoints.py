"""Checkpoints on the way, for suites that select one as a paper did; scoring chooses among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.api import Method
from bench.data import cache
from bench.data.index import Index
from bench.errors import BenchError
from bench.worker.method_run import MethodRun
from bench.worker.predictors import Predictor
from bench.worker.snapshots import SnapshotFacts, State, read_snapshot, write_snapshot

STATE = "state.snapshot"


class Checkpoints:
    """Candidates of one training: states while it runs, their predictions after it."""

    def __init__(
        self,
        method: Method,
        select: Mapping[str, Any] | None,
        steps: int,
        folder: Path,
        owner: str = "",
    ) -> None:
        self.method = method
        self.folder = folder
        self.owner = owner  # the key of the cell
        self.due: set[int] = set()
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
            write_snapshot(self.method.state(), SnapshotFacts(self.owner), target / STATE)

    def are_whole(self, step: int) -> bool:
        """Whether all states that were due up to a step are there, as they were written."""
        reached = [due for due in self.due if due <= step]
        return all(self._read(due) is not None for due in reached)

    def _read(self, step: int) -> State | None:
        kept = read_snapshot(self.folder / str(step) / STATE, self.owner)
        return kept[0] if kept else None

    def predict(self, predictor: Predictor, decoded: Path, index: Index, run: MethodRun) -> None:
        """Write the label maps of each state and delete it. The method keeps the last state."""
        for step in sorted(self.due):
            target = self.folder / str(step)
            state = self._read(step)
            if state is None:
                raise BenchError(f"{target / STATE} was changed; run the cell again")
            self.method.load(state, run)
            predictor.write(cache.test_images(decoded, index), target / "predictions")
            if self.by_validation:
                images = cache.test_images(decoded, index, "validation")
                predictor.write(images, target / "validation")
            (target / STATE).unlink()
