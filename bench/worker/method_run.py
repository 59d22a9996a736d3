"""What the harness lends a method for one training; see `bench.api.Run`."""

from __future__ import annotations

import math
import operator
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import hashing, registry
from bench.api import Build, Spec
from bench.cell_folder import CellFolder
from bench.cell_records import CellJob, CellProgress
from bench.errors import NotFiniteError
from bench.worker.kept_training import KeptLoop, KeptTraining
from bench.worker.shared_parts import Parts

PROCESSOR = Path("/proc/cpuinfo")  # on Linux


class MethodRun:
    """Seeds, logging, the suite's network and shared parts of one training."""

    def __init__(self, job: CellJob, folder: CellFolder, spec: Spec, device: torch.device) -> None:
        self.job = job
        self.folder = folder
        self.spec = spec
        self.device = device
        self.precision = job.cell.precision
        self.steps = job.cell.steps
        self.kept = KeptTraining(
            folder.snapshot, folder.key, environment_of(device), job.checkpoint_s
        )
        self.after_step: Callable[[int], None] = lambda step: None  # keeps checkpoints
        self.progress_written_at = 0.0
        self.parts = Parts(folder.parts, _shared_context(job), job.checkpoint_s)

    @property
    def history(self) -> dict[str, list[tuple[int, float]]]:
        """Curves of the training by name, as (step, value)."""
        return self.kept.history

    def seed(self, role: str) -> int:
        """A seed that does not depend on the method; see `bench.api.Run.seed`."""
        cell = self.job.cell
        return hashing.seed(cell.seed, cell.dataset, cell.labelled, cell.subset, role)

    def log(self, step: int, **scalars: float) -> None:
        """Keep scalars for history.json. Raises NotFiniteError, TypeError."""
        step = operator.index(step)
        for name, value in scalars.items():
            if not math.isfinite(value):
                raise NotFiniteError(f"{name} is {value} at step {step}")
            self.history.setdefault(name, []).append((step, float(value)))

    def progress(self, step: int) -> None:
        """Keep the state if this step is due; write progress.json at most once a second.

        Raises TypeError where it is no whole number.
        """
        step = operator.index(step)
        self.after_step(step)
        self.kept.step = step
        if time.monotonic() - self.progress_written_at >= 1 or step == self.steps:
            self.progress_written_at = time.monotonic()
            latest = {name: points[-1][1] for name, points in self.history.items()}
            self.folder.write_progress(CellProgress(step, self.steps, latest))

    def part(
        self, name: str, config: Mapping[str, Any], inputs: Sequence[str], build: Build
    ) -> dict[str, torch.Tensor]:
        """A component that cells share; its seconds are charged to each of them."""
        waited = self.parts.spent_s
        state = self.parts.get(name, config, inputs, build)
        self.kept.part_seconds += self.parts.spent_s - waited
        return state

    def saved(self) -> KeptLoop:
        """What earlier launches kept of the next loop of the training."""
        return self.kept.next_loop()

    def backbone(self) -> torch.nn.Module:
        """The suite's network, with the same initial weights for every method of a draw."""
        weights = self.folder.path / self.job.weights if self.job.weights else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed("backbone"))
            networks = registry.networks()
            network: torch.nn.Module = networks.build(self.job.cell.backbone, self.spec, weights)
        # Channels last: faster on GPUs and on CPUs, where volumes take a third of the time.
        innermost = torch.channels_last if self.spec.ndim == 2 else torch.channels_last_3d
        return network.to(memory_format=innermost)  # type: ignore[call-overload, no-any-return]


def environment_of(device: torch.device) -> dict[str, str]:
    """What a training runs on, as far as its results may depend on it."""
    name = f"{platform.machine()} CPU"
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    return {
        "device": name,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def processor_name() -> str:
    """The model of this machine's processor: training noise moves a result from one to another."""
    with suppress(OSError):
        for line in PROCESSOR.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _shared_context(job: CellJob) -> dict[str, Any]:
    """What cells must have in common to share a part."""
    cell = job.cell
    return {
        "task": cell.task,
        "dataset": cell.dataset,
        "data": cell.data,
        "size": list(cell.size),
        "code": cell.code,
        "seed": cell.seed,
        "threads": cell.threads,
        "precision": cell.precision,
    }
