"""How far a run is, as the driver tells it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RunningCell:
    """A cell at work."""

    label: str
    step: int
    steps: int


@dataclass
class Progress:
    """Counts of cells; whoever draws them is handed this."""

    total: int
    done: int = 0
    failed: int = 0
    kept: int = 0  # done by an earlier run
    running: dict[str, RunningCell] = field(default_factory=dict)  # by key
    seconds: list[float] = field(default_factory=list)  # of cells finished in this run
    slots: int = 1

    def seconds_left(self) -> float | None:
        """From the mean time of the cells finished so far; None before the first."""
        if not self.seconds:
            return None
        left = self.total - self.done - self.failed
        return left * sum(self.seconds) / len(self.seconds) / max(1, self.slots)
