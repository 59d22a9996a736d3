"""What each planned training will take on this machine, without training anything.

A stored step time is scaled by the cost of the network and by the speed of this machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.api import Spec
from bench.costs.step_times import StepTime, StepTimes, read_step_times
from bench.data.index import Index
from bench.errors import BenchError
from bench.hashing import digest
from bench.planning.cells import PlannedCell

STAND_IN = "supervised"  # for methods that the table does not know
IMAGES = 12  # of a step of a method whose settings do not tell
FORWARD_SHARE = 1 / 3  # of a training pass is what predicting takes

TABLE = "table"
AS_STAND_IN = f"as {STAND_IN}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one training is expected to take, and where the number comes from."""

    step_seconds: float
    seconds: float  # of the whole training, with the predictions for all test images
    source: str


class Estimator:
    """Costs of cells from the stored table, on one device."""

    def __init__(self, device: str, times: StepTimes | None = None) -> None:
        self.device = device
        self.times = times or read_step_times()
        self.pass_seconds: dict[tuple[int, str, int], float] = {}
        self.flops: dict[tuple[Any, ...], float] = {}

    def cost(self, cell: PlannedCell, index: Index) -> Cost:
        """What a cell takes. Raises BenchError for a network whose cost cannot be counted."""
        images = images_of_step(cell)
        stand_in = self._nearest(STAND_IN, cell, images)
        if stand_in is None:
            raise BenchError(f"no step of {cell.task} in {len(cell.size)}D is in the table")
        own = self._nearest(cell.method, cell, images)
        spec = index.spec_of(cell.task)
        flops = self._flops(cell.backbone, spec, cell.size)
        step = images * flops * self._seconds_a_flop(own or stand_in, cell)
        forward = FORWARD_SHARE * flops * self._seconds_a_flop(stand_in, cell)
        predicting = forward * predicted_images(cell, index)
        source = AS_STAND_IN if own is None else TABLE
        return Cost(step, step * cell.steps + predicting, source)

    def _nearest(self, method: str, cell: PlannedCell, images: int) -> StepTime | None:
        return self.times.nearest(method, cell.task, cell.backbone["name"], cell.size, images)

    def _seconds_a_flop(self, entry: StepTime, cell: PlannedCell) -> float:
        """Seconds here for each forward operation of a network, in the training of an entry."""
        spec = self.times.spec(entry)
        flops = entry.images * self._flops(entry.backbone, spec, entry.size)
        return entry.seconds * self._slowness(cell) / flops

    def _slowness(self, cell: PlannedCell) -> float:
        """How many times as long as the machine of the table this one takes."""
        ndim = len(cell.size)
        kind = (ndim, cell.precision, cell.threads)
        if kind not in self.pass_seconds:
            from bench.costs.calibration import pass_seconds
            from bench.worker.model import choose_device

            device = choose_device(self.device)
            self.pass_seconds[kind] = pass_seconds(ndim, device, cell.precision, cell.threads)
        return self.pass_seconds[kind] / self.times.calibration(ndim)

    def _flops(self, backbone: Mapping[str, Any], spec: Spec, size: Sequence[int]) -> float:
        """Operations of a forward pass for one image."""
        sized = replace(spec, ndim=len(size), size=tuple(size))
        kind = (digest(dict(backbone)), sized)
        if kind not in self.flops:
            from bench.costs.network_cost import pass_flops

            self.flops[kind] = pass_flops(backbone, sized)
        return self.flops[kind]


def images_of_step(cell: PlannedCell) -> int:
    """How many images one step sees, by the names that settings of methods have."""
    labelled = cell.config.get("batch_size")
    unlabelled = cell.config.get("unlabelled_batch_size", 0)
    if not isinstance(labelled, int) or not isinstance(unlabelled, int):
        return IMAGES
    return labelled + unlabelled


def predicted_images(cell: PlannedCell, index: Index) -> int:
    """How many images, slices or windows of the test cases a model predicts."""
    total = 0
    for case in index.test:
        count, _, *size = case.images.shape
        if len(cell.size) == 3:
            count *= _windows(size, cell.size, cell.inference_settings["stride"])
        total += count
    return total


def _windows(volume: Sequence[int], patch: Sequence[int], stride: Sequence[int]) -> int:
    """How many windows cover a volume."""
    counts = []
    for side, window, step in zip(volume, patch, stride, strict=True):
        counts.append(1 + math.ceil(max(0, side - window) / step))
    return math.prod(counts)
