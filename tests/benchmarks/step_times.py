"""Measures bench/costs/step_times.toml: python -m tests.benchmarks.step_times (a few minutes).

Each method is trained on noise twice, the second time for more steps; the difference is free of
what a training does once. It is processor time on one thread, so that a busy machine does no harm.
Shared parts, such as the generators of SinGAN-Seg, are made, but their time does not count.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from bench import registry
from bench.api import Build, Case, Spec, Task, TrainView
from bench.costs import calibration
from bench.costs.step_times import StepTime, StepTimes, write_step_times
from bench.registry import MethodInfo
from bench.testing import ToyRun
from bench.worker.method_run import processor_name

CHANNELS = 1
CLASSES = 2
FEW_STEPS = 2
MANY_STEPS = 6
IMAGES = 8  # of a step in 2D, half of them unlabelled where a method takes such
VOLUMES = 4  # of a step in 3D
CASES = 16
SIZES = ((64, 64), (128, 128))
VOLUME = (32, 32, 16)
UNET = {"name": "unet", "width": 16}
VNET = {"name": "vnet", "width": 16}
OTHER_NETWORKS = ({"name": "unet", "width": 8}, {"name": "smp:unet/mobilenet_v2"})
RESNET = {"name": "resnet18"}
# What is small in generators leaves the training of segmenters as it is.
SMALL_PARTS: dict[str, dict[str, Any]] = {
    "ssgnet": {
        "resolution": 32,
        "kimg": 0.01,
        "pool": 16,
        "generator": {"kind": "fastgan", "width": 4, "discriminator_width": 4, "batch_size": 2},
    },
    "singan_seg": {"filters": 4, "iterations": 1, "max_sources": 1, "samples_per_image": 2},
}


class TimedRun(ToyRun):
    """A run with a network of choice that keeps the time of shared parts apart."""

    def __init__(self, spec: Spec, steps: int, backbone: Mapping[str, Any]) -> None:
        super().__init__(spec, steps)
        self.chosen = dict(backbone)
        self.part_seconds = 0.0

    def network(self) -> dict[str, Any]:
        """The network that `backbone` builds, as a suite names it."""
        return self.chosen

    def part(
        self, name: str, config: Mapping[str, Any], inputs: Sequence[str], build: Build
    ) -> dict[str, torch.Tensor]:
        """A part that is built anew on each call."""
        began = time.process_time()
        state = super().part(name, config, inputs, build)
        self.part_seconds += time.process_time() - began
        return state

    def backbone(self) -> torch.nn.Module:
        """The network of choice, laid out as the harness does."""
        network = super().backbone()
        innermost = torch.channels_last if self.spec.ndim == 2 else torch.channels_last_3d
        return network.to(memory_format=innermost)  # type: ignore[call-overload, no-any-return]


def noise_view(spec: Spec) -> TrainView:
    """Noise with random masks and labels, half of it unlabelled."""
    random = np.random.default_rng(0)
    cases = []
    for number in range(CASES):
        image = random.random((CHANNELS, *spec.size), np.float32)
        mask = random.integers(0, spec.classes, spec.size)
        case = Case(str(number), str(number), image, mask)
        if spec.task == "classification":
            case = Case(str(number), str(number), image, None, number % CLASSES)
        cases.append(case)
    half = CASES // 2
    hidden = [Case(case.id, case.group, case.image, None) for case in cases[half:]]
    return TrainView(fit=cases[:half], unlabelled=hidden, spec=spec)


def seconds_of(info: MethodInfo, view: TrainView, steps: int, backbone: Mapping[str, Any]) -> float:
    """Processor seconds of a training, without its shared parts."""
    images = IMAGES if view.spec.ndim == 2 else VOLUMES
    batches = {"batch_size": images}
    if "unlabelled_batch_size" in info.config_keys():
        batches = {"batch_size": images // 2, "unlabelled_batch_size": images // 2}
    settings = {**batches, **SMALL_PARTS.get(info.name, {})}
    method = info.build(info.config(settings, view.spec.ndim), view.spec)
    run = TimedRun(view.spec, steps, backbone)
    began = time.process_time()
    method.fit(view, run)
    return time.process_time() - began - run.part_seconds


def step_time(
    info: MethodInfo, task: Task, backbone: Mapping[str, Any], size: tuple[int, ...]
) -> StepTime:
    """One entry of the table."""
    unit = (0.0, 1.0) if len(size) == 2 else None
    spec = Spec(task, len(size), CHANNELS, CLASSES, size, unit, False)
    view = noise_view(spec)
    few = seconds_of(info, view, FEW_STEPS, backbone)
    many = seconds_of(info, view, MANY_STEPS, backbone)
    seconds = (many - few) / (MANY_STEPS - FEW_STEPS)
    images = IMAGES if len(size) == 2 else VOLUMES
    width = backbone.get("width", 0)
    entry = StepTime(info.name, task, backbone["name"], width, size, images, round(seconds, 5))
    print(entry, flush=True)
    return entry


def all_entries() -> list[StepTime]:
    """Every method, learners at two sizes, the reference on further networks too."""
    entries = []
    for info in registry.methods().values():
        tasks = info.card.get("requires", {}).get("tasks", ["segmentation"])
        sizes = SIZES if info.card.get("role") in ("baseline", "learner") else SIZES[:1]
        for size in sizes:
            entries.append(step_time(info, "segmentation", UNET, size))
        if "classification" in tasks:
            entries.append(step_time(info, "classification", RESNET, SIZES[0]))
        if 3 in info.card["requires"]["ndim"]:
            entries.append(step_time(info, "segmentation", VNET, VOLUME))
    supervised = registry.method("supervised")
    for backbone in OTHER_NETWORKS:
        entries.append(step_time(supervised, "segmentation", backbone, SIZES[1]))
    return entries


def main() -> None:
    """Measure all steps and write the table."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    cpu = torch.device("cpu")
    passes = [calibration.pass_seconds(ndim, cpu, "float32", 1) for ndim in (2, 3)]
    entries = all_entries()
    times = StepTimes(
        machine=processor_name(),
        torch=torch.__version__,
        channels=CHANNELS,
        classes=CLASSES,
        calibration_2d=round(passes[0], 6),
        calibration_3d=round(passes[1], 6),
        entries=entries,
    )
    write_step_times(times)


if __name__ == "__main__":
    main()
