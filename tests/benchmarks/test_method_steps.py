"""One training step of each learner at 128x128, batch 8 (4 + 4), 4 classes, base width 16, one grey channel."""

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

SPEC = Spec("segmentation", 2, 1, 4, (128, 128), (0.0, 1.0), False)
ROUNDS, WARM = 5, 2


class SteppedRun(ToyRun):
    """Stops after every step until it is told to go on, so that single steps can be timed."""

    def __init__(self) -> None:
        super().__init__(SPEC, steps=ROUNDS + WARM + 1)
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)

    def backbone(self) -> torch.nn.Module:
        network: torch.nn.Module = registry.networks().build({"name": "unet", "width": 16}, SPEC)
        return network.to(memory_format=torch.channels_last)

    def progress(self, step: int) -> None:
        self.done.release()
        if step < self.steps:
            self.go.acquire()

    def step(self) -> None:
        """One step of the training."""
        self.go.release()
        self.done.acquire()


def view() -> TrainView:
    random = np.random.default_rng(0)
    cases = [
        Case(str(i), str(i), random.random((1, 128, 128), np.float32), random.integers(0, 4, (128, 128)))
        for i in range(16)
    ]
    hidden = [Case(case.id, case.group, case.image, None) for case in cases[8:]]
    return TrainView(fit=cases[:8], select=(), unlabelled=hidden, spec=SPEC)


@contextmanager
def training(name: str, config: dict[str, int]) -> Iterator[SteppedRun]:
    """A training that waits after its first step."""
    info, run = registry.method(name), SteppedRun()
    method = info.build(info.config(config), SPEC)
    thread = threading.Thread(target=method.fit, args=(view(), run), daemon=True)
    thread.start()
    run.done.acquire()
    yield run
    run.go.release()
    thread.join(60)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["supervised", "mean_teacher", "ss_net"])
def test_step(benchmark: BenchmarkFixture, name: str, threads: int) -> None:
    benchmark.group = f"step at 128x128, batch 8, base 16, {threads} threads"
    torch.set_num_threads(threads)
    sizes = {"batch_size": 8} if name == "supervised" else {"batch_size": 4, "unlabelled_batch_size": 4}
    with training(name, sizes) as run:
        benchmark.pedantic(run.step, rounds=ROUNDS, warmup_rounds=WARM)
    torch.set_num_threads(1)
