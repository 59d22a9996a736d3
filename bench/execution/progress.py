"""How far a run is, for what shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class RunningCell:
    """A cell that runs, its step, and the latest values of its curves by name."""

    label: str
    step: int
    steps: int
    latest: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Progress:
    """Counts of cells by state."""

    total: int
    stage: str = "runs"
    later: int = 0  # trainings that come after these cells, at most
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
        left = self.total - self.done - self.failed - len(self.interrupted) + self.later
        return left * sum(self.seconds) / len(self.seconds) / max(1, self.slots)


class Stages:
    """Shows the stages of one launch as parts of a whole, so that the time left is that of all."""

    def __init__(self, show: Callable[[Progress], None]) -> None:
        self.show = show
        self.seconds: list[float] = []  # of all cells finished in this launch
        self.earlier: list[float] = []  # of those finished before the current part

    def stage(self, name: str, within: int = 0, after: int = 0) -> Callable[[Progress], None]:
        """What shows one stage.

        `after` is how many trainings later stages have. A stage that is carried out in several
        parts has `within` trainings in all; one with a single part needs no number.
        """
        begun = 0  # cells of the parts so far, with the current one
        current: Progress | None = None

        def show_stage(progress: Progress) -> None:
            nonlocal begun, current
            if progress is not current:
                begun += progress.total
                current = progress
                self.earlier = list(self.seconds)
            self.seconds = [*self.earlier, *progress.seconds]
            later = max(0, within - begun) + after
            self.show(replace(progress, stage=name, later=later, seconds=self.seconds))

        return show_stage
