"""Generator and discriminator of FastGAN: sides, gates, noise, patches, what they draw."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from methods.ssgnet.config import FastGANConfig
from methods.ssgnet.fastgan.discriminator import Discriminator, cut_quarter, sides_down_from
from methods.ssgnet.fastgan.generator import (
    Generator,
    Noise,
    gated_sides,
    normalise_latents,
    sides_up_to,
)

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = FastGANConfig(kind="fastgan", z_dim=6, width=2, discriminator_width=2, batch_size=2)
SIDES = (32, 64, 128, 256)


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


@pytest.mark.parametrize("side", SIDES)
def test_pictures_have_the_side_and_lie_in_the_range(side: int) -> None:
    pictures = Generator(TINY, side, 3)(torch.randn(2, 6), seeded())
    assert pictures.shape == (2, 3, side, side)
    assert -1 <= pictures.min() < pictures.max() <= 1


def test_latents_have_a_mean_square_of_one() -> None:
    z = normalise_latents(7 * torch.randn(5, 64) + 3)
    assert torch.allclose(z.square().mean(1), torch.ones(5), atol=1e-6)


def test_the_length_of_a_latent_does_not_matter() -> None:
    generator = Generator(TINY, 32, 1).eval()
    z = torch.randn(2, 6)
    assert torch.allclose(generator(z, seeded()), generator(9 * z, seeded()), atol=1e-5)


def test_gates_are_those_published_and_shorter_for_small_pictures() -> None:
    assert gated_sides(256) == {64: 4, 128: 8, 256: 16}
    assert gated_sides(128) == {64: 4, 128: 8}
    assert gated_sides(64) == {32: 4, 64: 8}
    assert gated_sides(32) == {32: 4}


def test_every_second_block_has_two_convolutions_with_noise() -> None:
    generator = Generator(TINY, 256, 1)
    counts = [len(block.convolutions) for block in generator.blocks.values()]
    noises = [len(block.noises) for block in generator.blocks.values()]
    assert sides_up_to(256) == [8, 16, 32, 64, 128, 256]
    assert counts == [2, 1, 2, 1, 2, 1]
    assert noises == [2, 0, 2, 0, 2, 0]


def test_noise_is_one_map_for_all_channels_and_begins_at_zero() -> None:
    layer = Noise()
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(layer(x, seeded()), x)
    nn.init.constant_(layer.scale, 2.0)
    added = layer(x, seeded()) - x
    assert torch.allclose(added, added[:, :1].expand_as(added), atol=1e-6)
    assert added.std() > 1


@pytest.mark.parametrize(("side", "logits"), [(32, 25), (64, 25), (128, 25), (256, 50)])
def test_patches_are_judged_and_pictures_drawn_at_half_the_side(side: int, logits: int) -> None:
    """From 256 pixels on a second discriminator judges as many patches of a halved copy."""
    discriminator = Discriminator(TINY, side, 3)
    judged = discriminator(torch.rand(2, 3, side, side) * 2 - 1)
    assert judged.logits.shape == (2, logits)
    assert judged.whole.shape[2:] == (8, 8)
    assert judged.fine.shape[2:] == (16, 16)
    for drawn in discriminator.reconstruct(judged, 3):
        assert drawn.shape == (2, 3, side // 2, side // 2)
        assert drawn.abs().max() <= 1


def test_the_maps_of_the_discriminator_end_at_eight_pixels() -> None:
    assert sides_down_from(64) == [32, 16, 8]
    assert list(Discriminator(TINY, 256, 1).gates) == ["32", "16", "8"]


def test_quarters_are_cut_row_by_row() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    corners = [cut_quarter(image, quarter)[0, 0, 0, 0].item() for quarter in range(4)]
    assert corners == [0, 2, 8, 10]
    assert cut_quarter(image, 3).flatten().tolist() == [10, 11, 14, 15]
