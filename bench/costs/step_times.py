"""step_times.toml: how long a training step of each method took, on the machine that it names.

`python -m tests.benchmarks.step_times` measures it again.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.api import Spec, Task

FILE = Path(__file__).with_name("step_times.toml")


@dataclass(frozen=True, slots=True)
class StepTime:
    """One training step of a method, on one thread in float32."""

    method: str
    task: Task
    network: str
    width: int  # of `unet` and `vnet`; 0 for networks that have none
    size: tuple[int, ...]  # pixels of an image, or of a patch of a volume
    images: int  # of one step, labelled and unlabelled
    seconds: float  # of processor time

    @property
    def backbone(self) -> dict[str, Any]:
        """The network as a suite names it."""
        if not self.width:
            return {"name": self.network}
        return {"name": self.network, "width": self.width}


@dataclass(frozen=True, slots=True)
class StepTimes:
    """All steps that were measured, and the speed of the machine that they were measured on."""

    machine: str
    torch: str
    channels: int  # of the images
    classes: int
    # Seconds of the pass that `calibration` times, in 2D and in 3D.
    calibration_2d: float
    calibration_3d: float
    entries: Sequence[StepTime]

    def calibration(self, ndim: int) -> float:
        """Seconds of the pass that `bench.costs.calibration` times."""
        return self.calibration_2d if ndim == 2 else self.calibration_3d

    def spec(self, entry: StepTime) -> Spec:
        """What the method of an entry was told about its images."""
        ndim = len(entry.size)
        return Spec(entry.task, ndim, self.channels, self.classes, entry.size, None, False)

    def nearest(
        self, method: str, task: str, network: str, size: Sequence[int], images: int
    ) -> StepTime | None:
        """The entry of a method whose network and size come closest; None if it has none.

        A network of the same name comes before a size.
        """
        fitting = [
            entry
            for entry in self.entries
            if (entry.method, entry.task, len(entry.size)) == (method, task, len(size))
        ]
        wanted = math.log(math.prod(size) * images)

        def distance(entry: StepTime) -> tuple[bool, float]:
            return entry.network != network, abs(wanted - math.log(_pixels(entry)))

        return min(fitting, key=distance, default=None)


def _pixels(entry: StepTime) -> int:
    """All pixels that a step sees."""
    return math.prod(entry.size) * entry.images


def read_step_times(file: Path = FILE) -> StepTimes:
    """The table of this version."""
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    entries = []
    for entry in content.pop("entries"):
        entries.append(StepTime(**{**entry, "size": tuple(entry["size"])}))
    return StepTimes(**content, entries=entries)


def write_step_times(times: StepTimes, file: Path = FILE) -> None:
    """Write the table, an entry a paragraph."""
    import tomli_w

    file.write_text(tomli_w.dumps(asdict(times)), encoding="utf-8")
