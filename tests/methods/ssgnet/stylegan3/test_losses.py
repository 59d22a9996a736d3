"""Losses of StyleGAN3 in closed form (docs/methods/ssgnet.md#generator-losses)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3.discriminator import Discriminator
from methods.ssgnet.stylegan3.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
)


def test_losses_of_generator_and_discriminator() -> None:
    assert generator_loss(torch.zeros(3)).item() == pytest.approx(math.log(2))
    assert discriminator_loss(torch.zeros(3), torch.zeros(3)).item() == pytest.approx(
        2 * math.log(2)
    )
    fake = torch.tensor([-1.0, 2.0])
    assert generator_loss(fake).item() == pytest.approx(-fake.sigmoid().log().mean().item())
    assert discriminator_loss(torch.tensor([50.0]), torch.tensor([-50.0])).item() == pytest.approx(
        0, abs=1e-6
    )


def test_penalty_of_a_plane() -> None:
    direction = torch.randn(3, 4, 4)
    penalty = gradient_penalty(
        lambda x: (x * direction).sum((1, 2, 3)), torch.randn(5, 3, 4, 4), gamma=3.0
    )
    assert penalty.item() == pytest.approx(1.5 * direction.square().sum().item(), rel=1e-5)


def test_penalty_equals_finite_differences() -> None:
    torch.manual_seed(0)
    config = GeneratorConfig(channel_base=64, channel_max=4)
    discriminator = Discriminator(config, 16, 1).double()
    images = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    penalty = gradient_penalty(discriminator, images, gamma=2.0)
    slope = gradient_of_sum(discriminator, images)
    with torch.no_grad():
        for pixel in range(0, 256, 11):
            nudge = torch.zeros_like(images)
            nudge.view(2, -1)[0, pixel] = 1e-6
            # The sum over the batch, since its images influence each other.
            difference = discriminator(images + nudge) - discriminator(images - nudge)
            difference = difference.sum() / 2e-6
            assert slope[0].flatten()[pixel].item() == pytest.approx(difference.item(), abs=1e-6)
    assert penalty.item() == pytest.approx(slope.square().sum().item() / 2, rel=1e-6)


def gradient_of_sum(discriminator: nn.Module, images: torch.Tensor) -> torch.Tensor:
    images = images.clone().requires_grad_()
    return torch.autograd.grad(discriminator(images).sum(), images)[0]


def test_gradient_of_the_penalty_reaches_the_weights() -> None:
    """The gradient of the penalty for a weight equals finite differences too."""
    torch.manual_seed(0)
    config = GeneratorConfig(channel_base=64, channel_max=4)
    discriminator = Discriminator(config, 16, 1).double()
    weight = discriminator.blocks[0].second.weight
    images = torch.randn(4, 1, 16, 16, dtype=torch.float64)
    gradient_penalty(discriminator, images, 2.0).backward()
    values = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            weight[1, 2, 0, 1] += step
        values.append(gradient_penalty(discriminator, images, 2.0).item())
        with torch.no_grad():
            weight[1, 2, 0, 1] -= step
    assert weight.grad[1, 2, 0, 1].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4)
