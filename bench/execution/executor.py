"""The protocol of what runs cells; each implementation has a file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

# busy: another launch holds the cell. Other words are kinds of failures, as in
# `bench.worker.failures`.
How = Literal[
    "ended", "busy", "crash", "timeout", "out of memory", "disk", "no device", "lost", "error"
]


@dataclass(frozen=True, slots=True)
class Finished:
    """A worker that ended; its results are in the folder of its cell."""

    folder: Path
    how: How
    detail: str = ""


class Executor(Protocol):
    """Runs cells whose folders hold a job; it is given nothing but their paths."""

    settles: bool  # whether its workers score cells and record failures, see `settling`

    @property
    def slots(self) -> int:
        """How many cells may run at once; it may change in the course of a run."""
        ...

    def submit(self, folder: Path, time_limit_s: float) -> None:
        """Start a worker on a cell; it is killed after the time limit."""
        ...

    def running(self) -> list[Path]:
        """The folders of the cells that run."""
        ...

    def wait(self, timeout_s: float) -> list[Finished]:
        """The workers that ended since the last call; waits for the first one, up to a timeout."""
        ...

    def close(self) -> None:
        """Kill all workers that still run."""
        ...
