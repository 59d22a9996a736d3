"""Training steps of StyleGAN3-T on two threads, batch 4.

Run with `pytest tests/benchmarks/test_stylegan3_speed.py --benchmark-only`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3.discriminator import Discriminator
from methods.ssgnet.stylegan3.generator import Generator
from methods.ssgnet.stylegan3.losses import discriminator_loss, generator_loss, gradient_penalty

PROFILES = {  # name -> side, channel_base, channel_max, layers
    "32 px, 32 channels, 6 layers": (32, 1024, 32, 6),
    "32 px, 64 channels, 14 layers": (32, 2048, 64, 14),
    "64 px, 64 channels, 14 layers": (64, 4096, 64, 14),
}
BATCH = 4
LATENT = 128


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def build_networks(profile: str) -> tuple[Generator, Discriminator]:
    side, base, most, layers = PROFILES[profile]
    config = GeneratorConfig(
        z_dim=LATENT, w_dim=LATENT, channel_base=base, channel_max=most, layers=layers
    )
    return Generator(config, side, 3), Discriminator(config, side, 3)


@pytest.mark.parametrize("profile", PROFILES)
def test_generator_step(benchmark: BenchmarkFixture, profile: str) -> None:
    """Pictures, their logits, and the gradient of the generator's weights."""
    generator, discriminator = build_networks(profile)
    discriminator.requires_grad_(False)
    z = torch.randn(BATCH, LATENT)

    def step() -> None:
        generator.zero_grad()
        generator_loss(discriminator(generator(z))).backward()

    benchmark.pedantic(step, rounds=12, warmup_rounds=2)


@pytest.mark.parametrize("profile", PROFILES)
def test_discriminator_step(benchmark: BenchmarkFixture, profile: str) -> None:
    """Gradients of the loss on given real and fake pictures, and of the penalty."""
    _, discriminator = build_networks(profile)
    side = PROFILES[profile][0]
    real, fake = torch.randn(2, BATCH, 3, side, side)

    def step() -> None:
        discriminator.zero_grad()
        discriminator_loss(discriminator(real), discriminator(fake)).backward()
        (16 * gradient_penalty(discriminator, real, 2.0)).backward()

    benchmark.pedantic(step, rounds=12, warmup_rounds=2)
