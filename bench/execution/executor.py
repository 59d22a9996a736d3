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


@dataclass(frozen=True, slots=True)
class Needs:
    """What the card of a method asks of the machine, under [resources]."""

    memory_gb: float = 0.0
    gpu: bool | None = None  # True: only on a GPU; False: never on one; None: on one if there is


ANY = Needs()


class Executor(Protocol):
    """Runs cells whose folders hold a job; it is given nothing but their paths and needs."""

    settles: bool  # whether its workers score cells and record failures, see `settling`

    @property
    def slots(self) -> int:
        """How many cells may run at once; it may change in the course of a run."""
        ...

    def lacks(self, needs: Needs) -> str:
        """Why it can never run a cell of these needs; "" if it can, now or later."""
        ...

    def has_room(self, needs: Needs) -> bool:
        """Whether a cell of these needs would start now."""
        ...

    def submit(self, folder: Path, time_limit_s: float, needs: Needs = ANY) -> None:
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
