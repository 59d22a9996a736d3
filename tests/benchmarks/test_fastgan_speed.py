"""Training steps of FastGAN on one thread, batch 8.

Run with `pytest tests/benchmarks/test_fastgan_speed.py --benchmark-only`.
"""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from methods.ssgnet.config import FastGANConfig
from methods.ssgnet.fastgan.training import FastGANTraining, train_batch

CPU = torch.device("cpu")
PROFILES = {  # name -> side, width of both networks
    "32 px, width 16": (32, 16),
    "64 px, width 16": (64, 16),
    "64 px, width 32": (64, 32),
}


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("profile", PROFILES)
def test_training_step(benchmark: BenchmarkFixture, profile: str) -> None:
    """A step of D, one of G, and the average."""
    side, width = PROFILES[profile]
    config = FastGANConfig(kind="fastgan", z_dim=64, width=width, discriminator_width=width)
    training = FastGANTraining(config, (1, side), config.batch_size, 0, CPU)
    images = torch.rand(config.batch_size, 1, side, side) * 2 - 1
    real = images.to(memory_format=torch.channels_last)
    benchmark.pedantic(lambda: train_batch(training, real), rounds=12, warmup_rounds=2)
