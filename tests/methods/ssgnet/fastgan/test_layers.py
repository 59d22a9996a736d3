"""Layers of FastGAN in closed form: channels, gates, spectral norm, enlarging convolutions."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d, glu, interpolate

from methods.ssgnet.fastgan.layers import (
    EnlargedConvolution,
    GatedLinearUnit,
    SkipExcitation,
    channels_at,
    normalised_convolution,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def test_channels_are_those_of_the_published_table() -> None:
    sides = (4, 8, 16, 32, 64, 128, 256)
    assert [channels_at(side, 64) for side in sides] == [1024, 512, 256, 128, 128, 64, 32]
    assert [channels_at(side, 16) for side in sides] == [256, 128, 64, 32, 32, 16, 8]


def test_the_gated_linear_unit_halves_the_channels() -> None:
    x = torch.randn(2, 6, 3, 3)
    assert torch.equal(GatedLinearUnit()(x), x[:, :3] * torch.sigmoid(x[:, 3:]))
    assert torch.allclose(GatedLinearUnit()(x), glu(x, 1))


def test_an_enlarged_convolution_is_upsampling_and_a_convolution() -> None:
    layer = EnlargedConvolution(3, 5).eval()
    x = torch.randn(2, 3, 6, 6)
    weight = layer.convolution.weight
    expected = conv2d(interpolate(x, scale_factor=2), weight, padding=1)
    assert torch.allclose(layer(x), expected, atol=1e-6)


def test_the_gate_of_a_map_of_zeros_is_one_half() -> None:
    excited = torch.randn(2, 6, 16, 16)
    assert torch.equal(SkipExcitation(4, 6)(torch.zeros(2, 4, 8, 8), excited), 0.5 * excited)


def test_gates_scale_whole_channels() -> None:
    excited = torch.rand(2, 6, 16, 16) + 1
    ratio = SkipExcitation(4, 6)(torch.randn(2, 4, 8, 8), excited) / excited
    assert ratio.std((2, 3)).max() < 1e-6
    assert 0 < ratio.min() < ratio.max() < 1


def test_the_largest_singular_value_is_one() -> None:
    layer = normalised_convolution(5, 7, 3)
    for _ in range(50):  # each pass is one step of the power iteration
        layer(torch.zeros(1, 5, 3, 3))
    weight = layer.weight.detach().flatten(1)
    assert torch.linalg.svdvals(weight)[0].item() == pytest.approx(1, abs=1e-4)
    assert layer.bias is None
