"""What is kept of an unfinished training: a state for each of its loops over steps, in one file."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench.worker.snapshots import Clock, SnapshotFacts, State, read_snapshot

if TYPE_CHECKING:
    import torch

log = logging.getLogger("bench.worker.kept_training")
History = dict[str, list[tuple[int, float]]]


class KeptTraining:
    """The states of one training, what earlier launches of it took, and its curves.

    A method runs its loops in the same order in every launch. Those that had ended are filled with
    their last state and do no step; what lies between them is done again.
    """

    def __init__(
        self, file: Path, owner: str, environment: Mapping[str, str], every_s: float
    ) -> None:
        self.file = file
        self.owner = owner
        self.environment = dict(environment)
        self.clock = Clock(every_s)
        self.started = time.perf_counter()
        self.states: dict[int, State] = {}  # of each loop, by its number
        self.before: SnapshotFacts | None = None  # what earlier launches left
        self.loops_kept = 0
        self.loops = 0  # that were asked for in this launch
        self.history: History = {}
        self.step = 0  # that was reported last
        self.part_seconds = 0.0  # of all launches, for shared parts

    def load(self) -> None:
        """Read what an earlier launch kept; where it cannot be used the training starts over."""
        kept = read_snapshot(self.file, self.owner)
        if kept is None:
            return
        tensors, facts = kept
        if facts.environment != self.environment:
            log.warning("kept on %s: the training starts over", dict(facts.environment))
            return
        for name, tensor in tensors.items():
            number, _, inner = name.partition("/")
            self.states.setdefault(int(number), {})[inner] = tensor
        self.before = facts
        self.loops_kept = len(self.states)
        self.part_seconds = facts.part_seconds
        log.info("launch %d goes on after step %d", self.launches, facts.step)

    def forget(self) -> None:
        """Start over, and remove what was kept."""
        self.states.clear()
        self.before = None
        self.loops_kept = 0
        self.part_seconds = 0.0
        self.file.unlink(missing_ok=True)

    def next_loop(self) -> KeptLoop:
        """The state of the next loop; with the last one that was kept, the curves go on."""
        number = self.loops
        self.loops += 1
        if self.before is not None and self.loops == self.loops_kept:
            self.history.clear()
            for name, points in self.before.history.items():
                self.history[name] = [(step, value) for step, value in points]
        return KeptLoop(self, number)

    def keep(self, number: int, state: Mapping[str, torch.Tensor]) -> None:
        """Take the state of a loop, and write all states if that is due."""
        self.states[number] = {name: tensor.detach().clone() for name, tensor in state.items()}
        if not self.clock.is_due():
            return
        tensors: State = {}
        for loop, of_loop in self.states.items():
            for name, tensor in of_loop.items():
                tensors[f"{loop}/{name}"] = tensor
        self.clock.write(tensors, self._facts(), self.file)

    def _facts(self) -> SnapshotFacts:
        return SnapshotFacts(
            owner=self.owner,
            environment=self.environment,
            seconds=self.seconds(),
            part_seconds=self.part_seconds,
            launches=self.launches,
            step=self.step,
            history=self.history,
        )

    def seconds(self) -> float:
        """How long the training took so far; of killed launches, as far as they were kept."""
        now = time.perf_counter() - self.started
        return now + self.seconds_before

    @property
    def seconds_before(self) -> float:
        """How long earlier launches took."""
        return self.before.seconds if self.before else 0.0

    @property
    def launches(self) -> int:
        """Over how many launches the training is spread, this one included."""
        return 1 if self.before is None else 1 + self.before.launches


class KeptLoop:
    """The state of one loop; see `bench.api.Saved`."""

    def __init__(self, training: KeptTraining, number: int) -> None:
        self.training = training
        self.number = number
        self.last = training.states.get(number)

    def is_due(self) -> bool:
        """Whether the states on disk are so old that it is time for others."""
        return self.training.clock.is_due()

    def keep(self, state: dict[str, torch.Tensor]) -> None:
        """Keep a state; it is written at once if that is due, else with the next one that is."""
        self.training.keep(self.number, state)
