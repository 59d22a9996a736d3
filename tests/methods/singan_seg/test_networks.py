"""Networks of one scale (docs/methods/singan_seg.md#generator-and-discriminator)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from methods.singan_seg.networks import (
    Critic,
    Generator,
    filters_at,
    initialise_weights,
    run_frozen,
)


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("filters", "generator", "critic"),
    [(32, 30_340, 29_473), (64, 115_972, 114_241), (128, 453_124, 449_665)],
)
def test_parameters_for_four_channels(filters: int, generator: int, critic: int) -> None:
    assert count_parameters(Generator(4, filters)) == generator
    assert count_parameters(Critic(4, filters)) == critic


def test_filters_double_every_four_scales() -> None:
    assert [filters_at(n, 32) for n in range(13)] == [32] * 4 + [64] * 4 + [128] * 5
    assert [filters_at(n, 8) for n in (0, 3, 4)] == [8, 8, 16]


def test_generator_keeps_the_size_and_the_critic_loses_ten() -> None:
    images = torch.randn(2, 4, 25, 31)
    assert Generator(4, 8)(images, images).shape == images.shape
    assert Critic(4, 8)(images).shape == (2, 1, 15, 21)


def test_generator_without_a_tail_gives_the_previous_image() -> None:
    generator = Generator(4, 8)
    previous = torch.randn(1, 4, 25, 31)
    nn.init.zeros_(generator.tail.weight)
    nn.init.zeros_(generator.tail.bias)  # type: ignore[arg-type]
    assert torch.equal(generator(torch.randn(1, 4, 25, 31), previous), previous)


def test_the_input_is_padded_with_zeros() -> None:
    """The released pass: pad by five, lose one pixel a side in each of five convolutions, add."""
    generator = Generator(4, 8).eval()
    x = torch.randn(1, 4, 25, 31)
    previous = torch.randn(1, 4, 25, 31)
    layers = list(generator.body)
    unpadded = nn.Conv2d(4, 8, 3)
    unpadded.load_state_dict(layers[0].state_dict())
    padded = nn.functional.pad(x, (5, 5, 5, 5))
    expected = generator.tail(nn.Sequential(unpadded, *layers[1:])(padded)).tanh() + previous
    assert torch.allclose(generator(x, previous), expected, atol=1e-6)


def test_a_pixel_reaches_eleven_pixels() -> None:
    critic = Critic(4, 8).eval()
    images = torch.randn(1, 4, 31, 31)
    other = images.clone()
    other[..., 15, 15] += 1
    rows = (critic(images) != critic(other)).any(3)[0, 0].nonzero()
    assert (rows.min().item(), rows.max().item()) == (5, 15)  # 11 of the 21 rows of the map


def test_weights_start_as_released() -> None:
    torch.manual_seed(0)
    generator = Generator(4, 64)
    bias = generator.tail.bias.clone()  # type: ignore[union-attr]
    initialise_weights(generator)
    norm = generator.body[4]
    assert generator.body[3].weight.std().item() == pytest.approx(0.02, rel=0.05)  # type: ignore[union-attr,operator]
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.01)  # type: ignore[union-attr,operator]
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.3)  # type: ignore[union-attr,operator]
    assert torch.equal(norm.bias, torch.zeros(64))  # type: ignore[arg-type]
    assert torch.equal(generator.tail.bias, bias)  # type: ignore[arg-type]


def test_frozen_equals_the_generator_with_running_statistics() -> None:
    generator = Generator(4, 8)
    for _ in range(5):
        generator(torch.randn(1, 4, 25, 25), torch.randn(1, 4, 25, 25))
    x = torch.randn(3, 4, 25, 31)
    previous = torch.randn(3, 4, 25, 31)
    trained = generator(x, previous)
    frozen = generator.freeze()
    assert torch.allclose(run_frozen(frozen, x, previous), generator(x, previous), atol=1e-6)
    assert not torch.allclose(run_frozen(frozen, x, previous), trained, atol=1e-2)
    assert not any(tensor.requires_grad for layer in frozen for tensor in layer)
