"""Where cells run: one small protocol, one file per engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Finished:
    """A worker that ended; what it achieved lies in its cell's folder."""

    folder: Path
    how: Literal["ended", "busy", "crashed", "timed out"]  # busy: another launch holds the cell
    detail: str = ""


class Executor(Protocol):
    """Takes folders of prepared cells; moves nothing but their paths."""

    slots: int

    def submit(self, folder: Path, time_limit_s: float) -> None: ...

    def running(self) -> list[Path]: ...

    def wait(self, timeout_s: float) -> list[Finished]:
        """The workers that ended; returns early when one does."""
        ...

    def close(self) -> None:
        """End what still runs."""
        ...
