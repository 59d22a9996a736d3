"""How far a run is, for what shows it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RunningCell:
    """A cell that runs, and its step."""

    label: str
    step: int
    steps: int


@dataclass
class Progress:
    """Counts of cells by state."""

    total: int
    done: int = 0  # includes `kept`
    failed: int = 0
    kept: int = 0  # finished by an earlier run
    # by key: cells that the machine could not finish, which do not count as failed, and why
    interrupted: dict[str, str] = field(default_factory=dict)
    running: dict[str, RunningCell] = field(default_factory=dict)  # by key
    seconds: list[float] = field(default_factory=list)  # of cells finished in this run
    slots: int = 1

    def seconds_left(self) -> float | None:
        """An estimate from the mean time of finished cells; None before the first one."""
        if not self.seconds:
            return None
        left = self.total - self.done - self.failed - len(self.interrupted)
        return left * sum(self.seconds) / len(self.seconds) / max(1, self.slots)
