"""One training step of each learner, at base width 16 and one grey channel.

In 2D 128x128 images, batch 8 (4 + 4), 4 classes; in 3D 64x64x32 patches, batch 4 (2 + 2). For
comparison, the released code of SS-Net takes 1.85 s a step in 2D on one thread; in 3D on two
threads the released codes take 5.6 s (SS-Net) and 3.0 s (SGRS-Net).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from bench import registry
from bench.api import Case, Spec, TrainView
from bench.testing import ToyRun

IMAGES = Spec("segmentation", 2, 1, 4, (128, 128), (0.0, 1.0), False)
VOLUMES = Spec("segmentation", 3, 1, 2, (64, 64, 32), None, False)
ROUNDS = 5
WARM = 2
# How many times a step of supervised training, on as many images, one of each learner may take;
# None where no figure was set.
AT_MOST = {
    "supervised": 1,
    "mean_teacher": None,
    "fixmatch": 2,
    "bcp": 2,
    "urpc": 2,
    "dtc": 2,
    "cps": 3,
    "mc_net_plus": 3,
    "unimatch": 3,
    "ua_mt": 4,
    "ss_net": None,
    "sgrs_net": None,
}


class SteppedRun(ToyRun):
    """Waits after every step until it is told to continue, so that single steps can be timed."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec, steps=ROUNDS + WARM + 1)
        self.go = threading.Semaphore(0)
        self.done = threading.Semaphore(0)

    def backbone(self) -> torch.nn.Module:
        name = "unet"
        memory_format = torch.channels_last
        if self.spec.ndim == 3:
            name = "vnet"
            memory_format = torch.channels_last_3d
        network: torch.nn.Module = registry.networks().build({"name": name, "width": 16}, self.spec)
        return network.to(memory_format=memory_format)  # type: ignore[call-overload, no-any-return]

    def progress(self, step: int) -> None:
        self.done.release()
        if step < self.steps:
            self.go.acquire()

    def step(self) -> None:
        """One step of the training."""
        self.go.release()
        self.done.acquire()


def noise_view(spec: Spec) -> TrainView:
    """Noise with random masks; volumes are larger than the patches."""
    random = np.random.default_rng(0)
    size = spec.size if spec.ndim == 2 else tuple(side + 8 for side in spec.size)
    cases = [
        Case(
            str(i),
            str(i),
            random.random((1, *size), np.float32),
            random.integers(0, spec.classes, size),
        )
        for i in range(16)
    ]
    hidden = [Case(case.id, case.group, case.image, None) for case in cases[8:]]
    return TrainView(fit=cases[:8], unlabelled=hidden, spec=spec)


@contextmanager
def paused_training(name: str, spec: Spec, config: dict[str, int]) -> Iterator[SteppedRun]:
    """A training that has waited since its first step."""
    info = registry.method(name)
    run = SteppedRun(spec)
    known = {key: value for key, value in config.items() if key in info.config_keys()}
    method = info.build(info.config(known, spec.ndim), spec)
    thread = threading.Thread(target=method.fit, args=(noise_view(spec), run), daemon=True)
    thread.start()
    run.done.acquire()
    yield run
    run.go.release()
    thread.join(60)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", AT_MOST)
@pytest.mark.parametrize("spec", [IMAGES, VOLUMES], ids=["2d", "3d"])
def test_step(benchmark: BenchmarkFixture, spec: Spec, name: str, threads: int) -> None:
    if spec.ndim not in registry.method(name).card["requires"]["ndim"]:
        pytest.skip(f"{name} takes no {spec.ndim}D images")
    benchmark.extra_info["at most, times supervised"] = AT_MOST[name]
    labelled = {2: 4, 3: 2}[spec.ndim]
    sizes = "x".join(map(str, spec.size))
    benchmark.group = f"step at {sizes}, batch {2 * labelled}, base 16, {threads} threads"
    torch.set_num_threads(threads)
    batch = 2 * labelled if name == "supervised" else labelled
    with paused_training(
        name, spec, {"batch_size": batch, "unlabelled_batch_size": labelled}
    ) as run:
        benchmark.pedantic(run.step, rounds=ROUNDS, warmup_rounds=WARM)
    torch.set_num_threads(1)
