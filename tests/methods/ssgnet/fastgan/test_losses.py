"""Losses of FastGAN in closed form."""

from __future__ import annotations

import pytest
import torch

from methods.ssgnet.fastgan.losses import (
    discriminator_loss,
    generator_loss,
    reconstruction_loss,
)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_hinge_of_logits_of_zero_is_twice_a_margin_between_08_and_1() -> None:
    zero = torch.zeros(4000, 25)
    loss = discriminator_loss(zero, zero, seeded()).item()
    assert loss == pytest.approx(2 * 0.9, abs=1e-3)
    single = torch.zeros(1, 1)
    assert 1.6 <= discriminator_loss(single, single, seeded()).item() <= 2.0


def test_the_hinge_is_zero_beyond_the_largest_margin() -> None:
    one = torch.ones(3, 25)
    assert discriminator_loss(one, -one, seeded()) == 0
    assert discriminator_loss(-one, one, seeded()).item() == pytest.approx(2 * 1.9, abs=0.05)


def test_the_generator_raises_the_mean_logit() -> None:
    assert generator_loss(torch.tensor([[1.0, 2.0], [3.0, 6.0]])) == -3


def test_reconstruction_is_zero_for_perfect_drawings_and_does_not_grow_with_the_batch() -> None:
    """The released sum over the batch made its weight depend on the batch size."""
    pictures = torch.rand(2, 1, 8, 8)
    halved = pictures.view(2, 1, 4, 2, 4, 2).mean((3, 5))
    quarter = pictures[:, :, 4:, :4]
    assert reconstruction_loss(pictures, halved, quarter, 2).item() == pytest.approx(0, abs=1e-7)
    loss = reconstruction_loss(pictures, halved + 0.25, quarter - 0.5, 2)
    assert loss.item() == pytest.approx(0.75, abs=1e-6)
    twice = reconstruction_loss(
        pictures.repeat(2, 1, 1, 1),
        (halved + 0.25).repeat(2, 1, 1, 1),
        quarter.repeat(2, 1, 1, 1),
        2,
    )
    assert twice.item() == pytest.approx(0.25, abs=1e-6)
