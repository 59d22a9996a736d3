"""The generator of StyleGAN3-T: mapping, Fourier features, alias-free layers (dossier, section 2a)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, leaky_relu, leaky_relu_, linear

from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3.filters import (
    TAPS,
    Band,
    BandedMatrix,
    LayerPlan,
    bands,
    down_matrix,
    layer_plans,
    lowpass,
    up_matrix,
)

SLOPE, CLAMP = 0.2, 256.0
OUTPUT_SCALE = 0.25


class Dense(nn.Module):
    """A fully connected layer with weights scaled at run time; `rate` multiplies its learning rate."""

    def __init__(
        self, inputs: int, outputs: int, rate: float = 1.0, spread: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * (spread / rate))
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.gain, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.weight * self.gain, self.bias * self.rate)


class Mapping(nn.Module):
    """Latents z (B Z) to styles w (B W), and the running mean of w."""

    mean: torch.Tensor

    def __init__(self, z_dim: int, w_dim: int, layers: int) -> None:
        super().__init__()
        sizes = [z_dim] + [w_dim] * layers
        self.layers = nn.ModuleList(Dense(i, o, rate=0.01) for i, o in pairwise(sizes))
        self.register_buffer("mean", torch.zeros(w_dim))

    def forward(self, z: torch.Tensor, psi: float = 1.0, update: bool = False) -> torch.Tensor:
        """w drawn towards its mean by psi < 1."""
        x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.layers:
            x = leaky_relu(layer(x), SLOPE) * math.sqrt(2)
        if update:
            self.mean.lerp_(x.detach().mean(0), 1 - 0.998)
        return x if psi == 1 else self.mean.lerp(x, psi)


class FourierInput(nn.Module):
    """Sinusoids of a disc of frequencies, turned and shifted as w says, mixed by a matrix."""

    frequencies: torch.Tensor
    phases: torch.Tensor
    places: torch.Tensor

    def __init__(self, band: Band, w_dim: int) -> None:
        super().__init__()
        radius = band.cutoff * torch.rand(band.channels, 1).sqrt()  # uniform over the disc
        angle = 2 * math.pi * torch.rand(band.channels, 1)
        self.register_buffer("frequencies", radius * torch.cat([angle.cos(), angle.sin()], 1))
        self.register_buffer("phases", torch.rand(band.channels) - 0.5)
        places = (torch.arange(band.size) + 0.5 - band.size / 2) / band.rate
        self.register_buffer("places", places, persistent=False)
        self.affine = Dense(w_dim, 4, spread=0.0)
        with torch.no_grad():
            self.affine.bias.copy_(torch.eye(4)[0])
        self.weight = nn.Parameter(torch.randn(band.channels, band.channels))
        self.band = band

    def forward(self, w: torch.Tensor, transform: torch.Tensor | None = None) -> torch.Tensor:
        """Features (B C H W); transform (3 3) maps places of the picture, (x, y, 1) in units of its side."""
        turn, shift = self._motion(w)
        phases = (self.frequencies @ turn @ shift[..., None]).squeeze(-1) + self.phases
        frequencies = self.frequencies @ turn
        if transform is not None:
            phases = phases + frequencies @ transform[:2, 2]
            frequencies = frequencies @ transform[:2, :2]
        x, y = (self.places[:, None] * frequencies[:, None, :, axis] for axis in (0, 1))  # B S C
        waves = (2 * math.pi * (y[:, :, None] + x[:, None] + phases[:, None, None])).sin()
        mixed = (waves * self._damping(frequencies)[:, None, None]) @ (
            self.weight.T / math.sqrt(self.band.channels)
        )
        return mixed.permute(0, 3, 1, 2)

    def _motion(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A rotation (B 2 2) and the shift before it (B 2); neither depends on the length of w's affine image."""
        motion = self.affine(w)
        motion = motion / motion[:, :2].norm(dim=1, keepdim=True)
        cos, sin = motion[:, :2].unbind(1)
        turn = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
        return turn, -motion[:, 2:]

    def _damping(self, frequencies: torch.Tensor) -> torch.Tensor:
        """Amplitudes (B C) that fall to zero between the cutoff and the Nyquist frequency."""
        beyond = frequencies.norm(dim=2) - self.band.cutoff
        return (1 - beyond / (self.band.rate / 2 - self.band.cutoff)).clamp(0, 1)


def modulated_conv(
    x: torch.Tensor, weight: torch.Tensor, style: torch.Tensor, demodulate: bool, gain: torch.Tensor
) -> torch.Tensor:
    """Convolution of x (B I H W), full size, by weight (O I k k) times style (B I); demodulated to unit variance.

    Scaling the maps before and after one common convolution equals a convolution by own weights for every sample.
    """
    if demodulate:
        weight = weight * weight.square().mean((1, 2, 3), keepdim=True).rsqrt()
        style = style * style.square().mean().rsqrt()
        gain = gain * (style.square() @ weight.square().sum((2, 3)).T + 1e-8).rsqrt()
    else:
        style = style * gain
    weight = weight.contiguous(memory_format=torch.channels_last)
    y = conv2d(x * style[:, :, None, None], weight, padding=weight.shape[2] - 1)
    return y * gain[:, :, None, None] if demodulate else y


class FilteredLeakyReLU(torch.autograd.Function):
    """Up, leaky ReLU, clamp, down. Keeps the input alone and computes the rest again for the gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, up: BandedMatrix, down: BandedMatrix) -> torch.Tensor:
        x = x.permute(0, 2, 3, 1).contiguous()
        ctx.save_for_backward(x)
        ctx.up, ctx.down = up, down
        out = [down(leaky_relu_(up(part), SLOPE).clamp_(-CLAMP, CLAMP)) for part in _parts(x)]
        return torch.cat(out).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (x,) = ctx.saved_tensors
        slope = slope.permute(0, 2, 3, 1).contiguous()
        out = [
            _backward(part, s, ctx.up, ctx.down)
            for part, s in zip(_parts(x), _parts(slope), strict=True)
        ]
        return torch.cat(out).permute(0, 3, 1, 2), None, None


def _parts(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Single samples where the cache matters, the whole batch where the number of kernels does."""
    return x.split(1 if x.device.type == "cpu" else len(x))


def _backward(
    x: torch.Tensor, slope: torch.Tensor, up: BandedMatrix, down: BandedMatrix
) -> torch.Tensor:
    before, slope = up(x), down.transposed(slope)
    torch.ops.aten.hardtanh_backward.grad_input(
        slope, before, -CLAMP / SLOPE, CLAMP, grad_input=slope
    )
    torch.ops.aten.leaky_relu_backward.grad_input(slope, before, SLOPE, False, grad_input=slope)
    return up.transposed(slope)


class SynthesisLayer(nn.Module):
    """Modulated convolution and filtered leaky ReLU; for ToRGB a modulated 1x1 convolution and a clamp."""

    magnitude: torch.Tensor

    def __init__(self, plan: LayerPlan, w_dim: int, half_life: float) -> None:
        super().__init__()
        inputs, outputs = plan.source.channels, plan.target.channels
        self.affine = Dense(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, plan.kernel, plan.kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("magnitude", torch.ones(()))
        self.half_life, self.to_rgb = half_life, plan.to_rgb
        if not plan.to_rgb:
            self.up, self.down = resampling(plan)

    def forward(self, x: torch.Tensor, w: torch.Tensor, update: bool) -> torch.Tensor:
        if update:
            kept = 0.5 ** (len(x) / self.half_life)
            self.magnitude.lerp_(x.detach().square().mean(), 1 - kept)
        style, gain = self.affine(w), self.magnitude.rsqrt()
        if self.to_rgb:
            style = style / math.sqrt(self.weight.shape[1])
        y = modulated_conv(x, self.weight, style, not self.to_rgb, gain) + self.bias[:, None, None]
        if self.to_rgb:
            return y.clamp(-CLAMP, CLAMP)
        result: torch.Tensor = FilteredLeakyReLU.apply(y, self.up, self.down)
        return result


def resampling(plan: LayerPlan) -> tuple[BandedMatrix, BandedMatrix]:
    """The filters of a layer; the gain of the nonlinearity, root 2, is in the first since positive factors commute."""
    rise = lowpass(TAPS * plan.up, plan.source.cutoff, plan.source.half_width, plan.rate)
    fall = lowpass(TAPS * plan.down, plan.target.cutoff, plan.target.half_width, plan.rate)
    up = up_matrix(rise, plan.source.size + plan.kernel - 1, plan.up, plan.padding)
    return BandedMatrix(2**0.25 * up), BandedMatrix(down_matrix(fall, len(up), plan.down))


class Generator(nn.Module):
    """Latents to pictures (B C R R) around [-1, 1]."""

    def __init__(self, config: GeneratorConfig, resolution: int, image_channels: int) -> None:
        super().__init__()
        plan = bands(
            resolution, image_channels, config.layers, config.channel_base, config.channel_max
        )
        self.mapping = Mapping(config.z_dim, config.w_dim, config.mapping_layers)
        self.input = FourierInput(plan[0], config.w_dim)
        half_life = 1000 * config.magnitude_kimg
        self.layers = nn.ModuleList(
            SynthesisLayer(layer, config.w_dim, half_life) for layer in layer_plans(plan)
        )

    def forward(self, z: torch.Tensor, psi: float = 1.0, update: bool = False) -> torch.Tensor:
        """Pictures of z (B Z); `update` moves the running mean of w and the running magnitudes."""
        return self.synthesis(self.mapping(z, psi, update), update)

    def synthesis(
        self, w: torch.Tensor, update: bool = False, transform: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Pictures of styles w (B W)."""
        x = self.input(w, transform)
        for layer in self.layers:
            x = layer(x, w, update)
        return (x * OUTPUT_SCALE).contiguous()
