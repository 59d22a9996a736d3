"""A tuning study as a small drawing: the score of each trial, the best so far, and its noise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.board.schema import StudyHistory
from reports.page.tables import known

LEFT, WIDTH, TOP, HEIGHT = 48, 360, 10, 110  # display units of the plot inside 420 x 150
Scored = tuple[int, float]  # number of a trial, and a score


@dataclass(frozen=True, slots=True)
class History:
    """Positions inside the drawing."""

    left: int
    width: int
    points: list[tuple[float, float]]
    path: str  # of the best so far, in steps
    band: tuple[float, float]  # top and height of one standard error around the best
    ticks: list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Scale:
    """Trials and scores -> positions inside the drawing."""

    last: int  # number of the last trial
    top: float  # the score at the upper edge of the plot
    bottom: float

    def x(self, number: float) -> float:
        """Position of a trial."""
        return round(LEFT + WIDTH * number / self.last, 1)

    def y(self, score: float) -> float:
        """Position of a score."""
        height = (self.top - self.bottom) or 1
        return round(TOP + HEIGHT * (self.top - score) / height, 1)


def draw_history(study: StudyHistory) -> History | None:
    """The drawing of a study; None where no trial has a score."""
    scores = _known_scores((trial.number, trial.value) for trial in study.trials)
    bests = _known_scores((trial.number, trial.best) for trial in study.trials)
    if not scores or not bests:
        return None
    noise = 0.0
    if study.noise is not None and known(study.noise):
        noise = study.noise
    final = bests[-1][1]
    values = [value for _, value in scores]
    last = max(1, study.trials[-1].number)
    scale = Scale(last, max(final + noise, *values), min(final - noise, *values))
    upper, lower = scale.y(final + noise), scale.y(final - noise)
    points = [(scale.x(number), scale.y(value)) for number, value in scores]
    extremes = sorted({scale.top, scale.bottom})
    ticks = [(f"{value:.3f}", scale.y(value) + 4) for value in extremes]
    band = (upper, round(lower - upper, 1))
    return History(LEFT, WIDTH, points, _steps(scale, bests), band, ticks)


def _known_scores(scores: Iterable[tuple[int, float | None]]) -> list[Scored]:
    """Those of finished trials."""
    return [(number, score) for number, score in scores if score is not None and known(score)]


def _steps(scale: Scale, bests: Sequence[Scored]) -> str:
    """The path of the best score so far."""
    number, best = bests[0]
    start = f"M{scale.x(number)} {scale.y(best)}"
    steps = [f"H{scale.x(number)}V{scale.y(best)}" for number, best in bests[1:]]
    return "".join([start, *steps])
