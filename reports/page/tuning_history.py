"""A tuning study as a small drawing: the score of each trial, the best so far, and the noise around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.page import tables

LEFT, WIDTH, TOP, HEIGHT = 48, 360, 10, 110  # display units of the plot inside 420 x 150


@dataclass(frozen=True, slots=True)
class History:
    """Places inside the drawing."""

    left: int
    width: int
    points: list[tuple[float, float]]
    path: str  # of the best so far, in steps
    band: tuple[float, float]  # top and height of one standard error around the best
    ticks: list[tuple[str, float]]


def history(study: Mapping[str, Any]) -> History | None:
    """None where no trial has a score."""
    done = [
        (trial["number"], trial["value"])
        for trial in study["trials"]
        if tables.known(trial["value"])
    ]
    bests = [
        (trial["number"], trial["best"]) for trial in study["trials"] if tables.known(trial["best"])
    ]
    if not done or not bests:
        return None
    noise = study["noise"] if tables.known(study["noise"]) else 0.0
    top, bottom = (
        max(bests[-1][1] + noise, *(v for _, v in done)),
        min(bests[-1][1] - noise, *(v for _, v in done)),
    )
    last = max(1, study["trials"][-1]["number"])

    def x(number: float) -> float:
        return round(LEFT + WIDTH * number / last, 1)

    def y(value: float) -> float:
        return round(TOP + HEIGHT * (top - value) / ((top - bottom) or 1), 1)

    path = f"M{x(bests[0][0])} {y(bests[0][1])}" + "".join(
        f"H{x(n)}V{y(value)}" for n, value in bests[1:]
    )
    band = y(bests[-1][1] + noise), round(y(bests[-1][1] - noise) - y(bests[-1][1] + noise), 1)
    ticks = [(f"{value:.3f}", y(value) + 4) for value in sorted({top, bottom})]
    return History(LEFT, WIDTH, [(x(n), y(value)) for n, value in done], path, band, ticks)
