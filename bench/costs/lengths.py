"""How long trainings take beside each other: enough to begin with the longest."""

from __future__ import annotations

from functools import cache, lru_cache

from bench.api import Task
from bench.costs.estimate import STAND_IN, images_of_step
from bench.costs.step_times import StepTimes, read_step_times
from bench.planning.cells import PlannedCell


def training_length(cell: PlannedCell) -> float:
    """The seconds that a training would take with a network and images as in step_times.toml.

    They are no seconds of this machine, but compare methods and numbers of steps.
    """
    network = str(cell.backbone.get("name", ""))
    images = images_of_step(cell)
    seconds = _seconds_an_image(cell.method, cell.task, network, tuple(cell.size), images)
    return cell.steps * images * seconds


@cache
def _seconds_an_image(
    method: str, task: Task, network: str, size: tuple[int, ...], images: int
) -> float:
    """Of one step of a method, as far as the table knows it; plans have thousands of cells."""
    times = _stored_times()
    for name in (method, STAND_IN):
        entry = times.nearest(name, task, network, size, images)
        if entry is not None:
            return entry.seconds / entry.images
    return 1.0


@lru_cache(maxsize=1)
def _stored_times() -> StepTimes:
    return read_step_times()
