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
    # by key: how long each cell takes beside the others, where that is known
    lengths: Mapping[str, float] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)  # keys of cells that are done or failed
    # Of the cells finished in this stage of the run.
    finished_length: float = 0.0
    finished_seconds: float = 0.0

    def seconds_left(self) -> float | None:
        """An estimate from the times of finished cells; None before the first one.

        Where lengths are known, a method of many passes is not taken for one of few.
        """
        if not self.seconds:
            return None
        mean = sum(self.seconds) / len(self.seconds)
        if self.finished_length:
            cells = self._length_left() * self.finished_seconds / self.finished_length
        else:
            cells = mean * (self.total - self.done - self.failed - len(self.interrupted))
        return (cells + mean * self.later) / max(1, self.slots)

    def finish(self, key: str, seconds: float) -> None:
        """Count a cell that was finished in this run, and the seconds that it took."""
        self.done += 1
        self.ended.add(key)
        self.seconds.append(seconds)
        self.finished_seconds += seconds
        self.finished_length += self.lengths.get(key, 0.0)

    def _length_left(self) -> float:
        """Of all cells that have not ended, without what the running ones have done."""
        left = 0.0
        for key, length in self.lengths.items():
            if key in self.ended or key in self.interrupted:
                continue
            cell = self.running.get(key)
            share = cell.step / max(1, cell.steps) if cell is not None else 0.0
            left += length * (1 - share)
        return left


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
