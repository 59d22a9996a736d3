"""Generator and discriminator of StyleGAN3-T (docs/methods/ssgnet.md#stylegan3)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, leaky_relu

from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3 import generator as generator_module
from methods.ssgnet.stylegan3.discriminator import Block, Discriminator, batch_deviation
from methods.ssgnet.stylegan3.filters import (
    BandedMatrix,
    down_matrix,
    lowpass_filter,
    plan_bands,
    plan_layers,
    up_matrix,
)
from methods.ssgnet.stylegan3.generator import (
    FilteredLeakyReLU,
    FourierInput,
    Generator,
    Mapping,
    SynthesisLayer,
    modulated_conv,
)

TINY = GeneratorConfig(z_dim=32, w_dim=32, channel_base=1024, channel_max=16)
ONE = torch.ones(())


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("resolution", "generator", "discriminator"),
    [(256, 28_472_133, 28_864_129), (128, 32_833_523, 28_389_121), (64, 37_768_199, 26_488_833)],
)
def test_parameters(resolution: int, generator: int, discriminator: int) -> None:
    with torch.device("meta"):
        networks = (
            Generator(GeneratorConfig(), resolution, 3),
            Discriminator(GeneratorConfig(), resolution, 3),
        )
    counts = [sum(p.numel() for p in network.parameters()) for network in networks]
    assert counts == [generator, discriminator]


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_and_logits_have_their_shapes(channels: int) -> None:
    generator = Generator(TINY, 32, channels)
    discriminator = Discriminator(TINY, 32, channels)
    pictures = generator(torch.randn(3, 32))
    assert pictures.shape == (3, channels, 32, 32)
    assert discriminator(pictures).shape == (3,)
    discriminator(pictures).sum().backward()
    assert all(
        torch.isfinite(p.grad).all() for p in [*generator.parameters(), *discriminator.parameters()]
    )


@torch.no_grad()
@pytest.mark.parametrize("pixels", [8, 3, 1])
def test_a_shift_of_the_input_shifts_the_picture(pixels: int) -> None:
    """By 8 pixels, and by fractions of a sample of the coarse layers."""
    generator = Generator(TINY, 64, 3)
    w, transform = generator.mapping(torch.randn(2, 32)), torch.eye(3)
    transform[0, 2], transform[1, 2] = -pixels / 64, pixels / 64
    still, moved = generator.synthesis(w), generator.synthesis(w, transform=transform)
    inner = (slice(8, 56 - pixels), slice(8 + pixels, 56))
    expected = still[..., inner[1], inner[0]]
    shifted = moved[..., inner[0], inner[1]]
    signal = expected.var().item()
    assert 10 * np.log10(signal / (shifted - expected).square().mean().item()) > 50
    assert 10 * np.log10(signal / (moved - still).square().mean().item()) < 30


@torch.no_grad()
def test_a_quarter_turn_of_the_input_turns_the_features() -> None:
    layer, w = FourierInput(plan_bands(64, 3, 14, 1024, 16)[0], 8), torch.randn(2, 8)
    turn = torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    assert torch.allclose(layer(w, turn), layer(w).rot90(-1, (2, 3)), atol=1e-5)


@torch.no_grad()
def test_a_style_rotates_as_a_transform_does() -> None:
    layer = FourierInput(plan_bands(64, 3, 14, 1024, 16)[0], 8)
    turn = torch.tensor([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    expected = layer(torch.zeros(1, 8), turn)
    layer.affine.bias.copy_(torch.tensor([0.6, 0.8, 0, 0]))
    assert torch.allclose(layer(torch.zeros(1, 8)), expected, atol=1e-5)


def test_frequencies_fill_the_disc_evenly() -> None:
    radius = FourierInput(plan_bands(64, 3, 14, 32768, 512)[0], 8).frequencies.norm(dim=1)
    assert radius.max() <= 2
    # The Kolmogorov statistic of 512 draws exceeds 0.08 in 0.3% of all cases.
    distance = radius.square().sort().values / 4 - torch.linspace(0, 1, 512)
    assert distance.abs().max() < 0.08


def test_input_style_moves_and_damps() -> None:
    layer = FourierInput(plan_bands(64, 3, 14, 1024, 16)[0], 8)
    # The weights of the affine layer start at zero.
    assert torch.equal(layer(torch.randn(1, 8)), layer(torch.zeros(1, 8)))
    with torch.no_grad():
        # A longer vector neither rotates nor shifts further.
        layer.affine.bias.copy_(torch.tensor([3.0, 0, 0.75, 0]))
    shift = torch.eye(3)
    shift[0, 2] = 0.25
    moved = layer(torch.zeros(1, 8))
    with torch.no_grad():
        layer.affine.bias.copy_(torch.eye(4)[0])
    assert torch.allclose(layer(torch.zeros(1, 8), shift.inverse()), moved, atol=1e-5)
    far = torch.diag(torch.tensor([100.0, 100, 1]))
    layer.frequencies.clamp_(min=0.1)
    assert layer(torch.zeros(1, 8), far).abs().max() == 0  # all frequencies beyond Nyquist


def separate_convolutions(
    x: torch.Tensor, weight: torch.Tensor, style: torch.Tensor
) -> torch.Tensor:
    """A convolution with separate weights for each sample."""
    weights = weight[None] * style[:, None, :, None, None]
    weights = weights / (weights.square().sum((2, 3, 4), keepdim=True)).sqrt()
    return torch.cat([conv2d(x[i : i + 1], weights[i], padding=2) for i in range(len(x))])


def test_modulated_conv_equals_separate_weights_for_each_sample() -> None:
    x, weight, style = torch.randn(3, 5, 9, 9), torch.randn(4, 5, 3, 3), torch.randn(3, 5)
    result = modulated_conv(x, weight, style, True, 0.5 * ONE)
    assert torch.allclose(result, 0.5 * separate_convolutions(x, weight, style), atol=1e-5)


def test_modulated_conv_keeps_variance_and_ignores_scale() -> None:
    x, weight, style = torch.randn(4, 64, 34, 34), torch.randn(64, 64, 3, 3), torch.randn(4, 64)
    result = modulated_conv(x, weight, style, True, ONE)
    assert result[..., 2:-2, 2:-2].std().item() == pytest.approx(1, abs=0.02)
    assert torch.allclose(modulated_conv(x, 10 * weight, style, True, ONE), result, atol=1e-5)
    assert torch.allclose(modulated_conv(x, weight, 10 * style, True, ONE), result, atol=1e-5)


def test_to_rgb_is_not_demodulated() -> None:
    x, weight, style = torch.randn(2, 5, 8, 8), torch.randn(3, 5, 1, 1), torch.randn(2, 5)
    expected = torch.einsum("oi,bi,bihw->bohw", weight[:, :, 0, 0], style, x)
    assert torch.allclose(modulated_conv(x, weight, style, False, 2 * ONE), 2 * expected, atol=1e-5)


def resampling_pair(size: int) -> tuple[BandedMatrix, BandedMatrix]:
    taps = lowpass_filter(12, 2, 6, 32)
    up = up_matrix(taps, size, 2, (9, 8))
    return BandedMatrix(up).double(), BandedMatrix(down_matrix(taps, len(up), 2)).double()


def test_filtered_leaky_relu_is_its_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator_module, "CLAMP", 0.3)
    (up, down), x = resampling_pair(8), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    rectified = leaky_relu(up.matrix @ x @ up.matrix.T, 0.2).clamp(-0.3, 0.3)
    assert (rectified.abs() == 0.3).any()
    assert torch.allclose(
        FilteredLeakyReLU.apply(x, up, down), down.matrix @ rectified @ down.matrix.T
    )


def test_filtered_leaky_relu_has_the_right_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator_module, "CLAMP", 0.3)
    up, down = resampling_pair(6)
    x = torch.randn(2, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: FilteredLeakyReLU.apply(x, up, down), [x], atol=1e-6)


def test_gain_of_the_nonlinearity_is_root_two() -> None:
    layer = SynthesisLayer(plan_layers(plan_bands(64, 3, 14, 1024, 16))[1], 8, 1.0)
    result = FilteredLeakyReLU.apply(torch.ones(1, 1, 38, 38), layer.up, layer.down)
    assert result.shape == (1, 1, 36, 36)
    assert result[..., 12:-12, 12:-12].mean().item() == pytest.approx(2**0.5, abs=0.01)


def test_running_magnitude_follows_its_half_life() -> None:
    layer = SynthesisLayer(plan_layers(plan_bands(64, 3, 14, 1024, 16))[-1], 8, half_life=4.0)
    x, w = torch.full((2, 16, 64, 64), 3.0), torch.zeros(2, 8)
    plain = layer(x, w, update=False)
    updated = layer(x, w, update=True)
    kept = 0.5 ** (2 / 4)
    assert layer.magnitude.item() == pytest.approx(kept + (1 - kept) * 9)
    assert torch.allclose(updated * layer.magnitude.sqrt(), plain, atol=1e-5)


def test_mapping_normalises_latents_and_truncates() -> None:
    mapping, z = Mapping(16, 8, 2), torch.randn(5, 16)
    w = mapping(z, update=True)
    assert torch.allclose(mapping(7 * z), w, atol=1e-5)
    assert torch.allclose(mapping.mean, 0.002 * w.mean(0), atol=1e-7)
    assert torch.allclose(mapping(z, psi=0), mapping.mean.expand(5, -1))
    assert torch.allclose(mapping(z, psi=0.5), (mapping.mean + w) / 2, atol=1e-6)


def test_first_learning_rate_of_the_mapping_is_a_hundredth() -> None:
    layer = Mapping(400, 400, 1).layers[0]
    assert layer.weight.std().item() == pytest.approx(100, rel=0.02)
    assert layer(torch.eye(400)).std().item() == pytest.approx(1 / 20, rel=0.02)


@pytest.mark.parametrize(("count", "group"), [(8, 4), (6, 3), (5, 1)])
def test_batch_deviation_in_closed_form(count: int, group: int) -> None:
    values = torch.arange(float(count)).square()
    result = batch_deviation(values.view(-1, 1, 1, 1).expand(-1, 2, 4, 4))
    assert result.shape == (count, 3, 4, 4)
    expected = (values.view(group, -1).var(0, correction=0) + 1e-8).sqrt().repeat(group)
    assert torch.allclose(result[:, 2], expected.view(-1, 1, 1).expand(-1, 4, 4))


def test_discriminator_filters_before_it_halves() -> None:
    block = Block(1, 1, 8)
    x = torch.zeros(1, 1, 8, 8)
    x[..., 3, 3] = 64
    taps = torch.tensor([1.0, 3, 3, 1])
    assert torch.equal((block.blur @ x @ block.blur.T)[0, 0, 2:6, 2:6], torch.outer(taps, taps))
    assert torch.equal(
        (block.halve @ x @ block.halve.T)[0, 0, 1:3, 1:3], torch.outer(taps[[2, 0]], taps[[2, 0]])
    )
