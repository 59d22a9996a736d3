"""The generator of StyleGAN3-T: mapping, Fourier features, alias-free layers.

See docs/methods/ssgnet.md#stylegan3 and Karras et al. 2021.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, leaky_relu, leaky_relu_, linear

from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3.filters import (
    TAPS,
    Band,
    BandedMatrix,
    LayerPlan,
    down_matrix,
    lowpass_filter,
    plan_bands,
    plan_layers,
    up_matrix,
)

SLOPE = 0.2  # of leaky ReLU
CLAMP = 256.0
OUTPUT_SCALE = 0.25
MAPPING_RATE = 0.01  # factor of the learning rate of the mapping
MEAN_KEEP = 0.998  # share of the running mean of w that a batch keeps


class Dense(nn.Module):
    """A dense layer with weights scaled at run time; `rate` multiplies its learning rate."""

    def __init__(
        self, inputs: int, outputs: int, rate: float = 1.0, spread: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * (spread / rate))
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.gain = rate / math.sqrt(inputs)
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.weight * self.gain, self.bias * self.rate)


class Mapping(nn.Module):
    """Latents z (B Z) to styles w (B W), and the running mean of w."""

    mean: torch.Tensor

    def __init__(self, z_dim: int, w_dim: int, layers: int) -> None:
        super().__init__()
        sizes = [z_dim] + [w_dim] * layers
        self.layers = nn.ModuleList(Dense(i, o, rate=MAPPING_RATE) for i, o in pairwise(sizes))
        self.register_buffer("mean", torch.zeros(w_dim))

    def forward(self, z: torch.Tensor, psi: float = 1.0, update: bool = False) -> torch.Tensor:
        """Styles of z, truncated towards their mean by psi < 1; `update` moves the mean."""
        x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.layers:
            x = leaky_relu(layer(x), SLOPE) * math.sqrt(2)
        if update:
            self.mean.lerp_(x.detach().mean(0), 1 - MEAN_KEEP)
        return x if psi == 1 else self.mean.lerp(x, psi)


class FourierInput(nn.Module):
    """Sinusoids with frequencies from a disc, rotated and shifted according to w, and mixed."""

    frequencies: torch.Tensor
    phases: torch.Tensor
    positions: torch.Tensor

    def __init__(self, band: Band, w_dim: int) -> None:
        super().__init__()
        radius = band.cutoff * torch.rand(band.channels, 1).sqrt()  # uniform over the disc
        angle = 2 * math.pi * torch.rand(band.channels, 1)
        self.register_buffer("frequencies", radius * torch.cat([angle.cos(), angle.sin()], 1))
        self.register_buffer("phases", torch.rand(band.channels) - 0.5)
        positions = (torch.arange(band.size) + 0.5 - band.size / 2) / band.rate
        self.register_buffer("positions", positions, persistent=False)
        self.affine = Dense(w_dim, 4, spread=0.0)
        with torch.no_grad():
            self.affine.bias.copy_(torch.eye(4)[0])
        self.weight = nn.Parameter(torch.randn(band.channels, band.channels))
        self.band = band

    def forward(self, w: torch.Tensor, transform: torch.Tensor | None = None) -> torch.Tensor:
        """Features (B C H W) of styles w (B W).

        `transform` (3 3) maps positions (x, y, 1) in the picture, in units of its side.
        """
        rotation, shift = self._motion(w)
        phases = (self.frequencies @ rotation @ shift[..., None]).squeeze(-1) + self.phases
        frequencies = self.frequencies @ rotation
        if transform is not None:
            phases = phases + frequencies @ transform[:2, 2]
            frequencies = frequencies @ transform[:2, :2]
        x = self.positions[:, None] * frequencies[:, None, :, 0]  # B S C
        y = self.positions[:, None] * frequencies[:, None, :, 1]
        waves = (2 * math.pi * (y[:, :, None] + x[:, None] + phases[:, None, None])).sin()
        damped = waves * self._damping(frequencies)[:, None, None]
        mixed = damped @ (self.weight.T / math.sqrt(self.band.channels))
        return mixed.permute(0, 3, 1, 2)

    def _motion(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A rotation (B 2 2) and the shift before it (B 2).

        Neither depends on the length of the vector that the affine layer gives.
        """
        motion = self.affine(w)
        motion = motion / motion[:, :2].norm(dim=1, keepdim=True)
        cos, sin = motion[:, :2].unbind(1)
        rotation = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
        return rotation, -motion[:, 2:]

    def _damping(self, frequencies: torch.Tensor) -> torch.Tensor:
        """Amplitudes (B C) that fall to zero between the cutoff and the Nyquist frequency."""
        beyond = frequencies.norm(dim=2) - self.band.cutoff
        return (1 - beyond / (self.band.rate / 2 - self.band.cutoff)).clamp(0, 1)


def modulated_conv(
    x: torch.Tensor,
    weight: torch.Tensor,
    style: torch.Tensor,
    demodulate: bool,
    gain: torch.Tensor,
    dtype: torch.dtype = torch.float32,
    margin: int = 0,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Full convolution of x (B I H W) by weight (O I k k) times style (B I), plus bias (O).

    Of the result, `margin` pixels on each side are left out: none, or at least k - 1.

    With `demodulate` the result has unit variance (docs/methods/ssgnet.md#stylegan3, eq. 1).
    Scaling the maps before and after one shared convolution equals a convolution with separate
    weights for every sample. The convolution alone is computed in `dtype`.
    """
    if demodulate:
        weight = weight * weight.square().mean((1, 2, 3), keepdim=True).rsqrt()
        style = style * style.square().mean().rsqrt()
        gain = gain * (style.square() @ weight.square().sum((2, 3)).T + 1e-8).rsqrt()
    else:
        style = style * gain
    weight = weight.contiguous(memory_format=torch.channels_last)
    padding = weight.shape[2] - 1
    if margin:
        cropped = slice(margin - padding, x.shape[2] - margin + padding)
        x = x[:, :, cropped, cropped]
        padding = 0
    scaled = (x * style[:, :, None, None]).to(dtype)
    y = conv2d(scaled, weight.to(dtype), padding=padding).float()
    return _scale_and_shift(y, gain, bias) if demodulate else _scale_and_shift(y, None, bias)


def _scale_and_shift(
    y: torch.Tensor, gain: torch.Tensor | None, bias: torch.Tensor | None
) -> torch.Tensor:
    """Gain (B O) times maps y (B O H W) plus bias (O), as far as they are given."""
    if gain is None:
        return y if bias is None else y + bias[:, None, None]
    gain = gain[:, :, None, None]
    return y * gain if bias is None else torch.addcmul(bias[:, None, None], y, gain)


class FilteredLeakyReLU(torch.autograd.Function):
    """Upsampling, leaky ReLU, clamp, downsampling.

    Keeps only its input and computes the rest again for the gradient.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, up: BandedMatrix, down: BandedMatrix) -> torch.Tensor:
        x = x.permute(0, 2, 3, 1).contiguous()
        ctx.save_for_backward(x)
        ctx.up = up
        ctx.down = down
        results: list[torch.Tensor] = []
        for part in _split_for_device(x):
            rectified = leaky_relu_(up(part), SLOPE).clamp_(-CLAMP, CLAMP)
            results.append(down(rectified))
        return torch.cat(results).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (x,) = ctx.saved_tensors
        slope = slope.permute(0, 2, 3, 1).contiguous()
        slopes: list[torch.Tensor] = []
        for part, part_slope in zip(_split_for_device(x), _split_for_device(slope), strict=True):
            slopes.append(_input_slope(part, part_slope, ctx.up, ctx.down))
        return torch.cat(slopes).permute(0, 3, 1, 2), None, None


def _split_for_device(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Single samples on a CPU, for its cache; on other devices one batch, for fewer kernels."""
    size = 1 if x.device.type == "cpu" else len(x)
    return x.split(size)


def _input_slope(
    x: torch.Tensor, slope: torch.Tensor, up: BandedMatrix, down: BandedMatrix
) -> torch.Tensor:
    """Gradient of FilteredLeakyReLU for its input x, from the gradient for its output."""
    before = up(x)
    slope = down.transposed(slope)
    torch.ops.aten.hardtanh_backward.grad_input(
        slope, before, -CLAMP / SLOPE, CLAMP, grad_input=slope
    )
    torch.ops.aten.leaky_relu_backward.grad_input(slope, before, SLOPE, False, grad_input=slope)
    return up.transposed(slope)


class SynthesisLayer(nn.Module):
    """Modulated convolution and filtered leaky ReLU.

    ToRGB is a modulated 1x1 convolution and a clamp.
    """

    magnitude: torch.Tensor

    def __init__(self, plan: LayerPlan, w_dim: int, half_life: float) -> None:
        super().__init__()
        inputs = plan.source.channels
        outputs = plan.target.channels
        self.affine = Dense(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, plan.kernel, plan.kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("magnitude", torch.ones(()))
        self.half_life = half_life  # of the running magnitude, in images
        self.to_rgb = plan.to_rgb
        self.margin = 0  # pixels on each side of the convolution that the filter crops
        if not plan.to_rgb:
            self.margin, self.up, self.down = resampling_matrices(plan)

    def forward(
        self, x: torch.Tensor, w: torch.Tensor, update: bool, dtype: torch.dtype = torch.float32
    ) -> torch.Tensor:
        """Maps (B O H' W') of maps (B I H W) and styles w (B W); `update` moves the magnitude.

        Its convolution is computed in `dtype`.
        """
        if update:
            kept = 0.5 ** (len(x) / self.half_life)
            self.magnitude.lerp_(x.detach().square().mean(), 1 - kept)
        style = self.affine(w)
        gain = self.magnitude.rsqrt()
        if self.to_rgb:
            style = style / math.sqrt(self.weight.shape[1])
        y = modulated_conv(
            x, self.weight, style, not self.to_rgb, gain, dtype, self.margin, self.bias
        )
        if self.to_rgb:
            return y.clamp(-CLAMP, CLAMP)
        result: torch.Tensor = FilteredLeakyReLU.apply(y, self.up, self.down)
        return result


def resampling_matrices(plan: LayerPlan) -> tuple[int, BandedMatrix, BandedMatrix]:
    """The filters of a layer before and after its nonlinearity.

    The first one holds the gain of the nonlinearity, root 2, since positive factors commute. It
    does without the margin of the map, the number of pixels on each side, that it would only crop.
    """
    source = plan.source
    target = plan.target
    up_taps = lowpass_filter(TAPS * plan.up, source.cutoff, source.half_width, plan.rate)
    down_taps = lowpass_filter(TAPS * plan.down, target.cutoff, target.half_width, plan.rate)
    up = up_matrix(up_taps, source.size + plan.kernel - 1, plan.up, plan.padding)
    margin = _unused_margin(up)
    if margin < plan.kernel - 1:
        margin = 0  # what the convolution pads is used
    used = up[:, margin : up.shape[1] - margin]
    # Both axes are multiplied by the matrix, so that each gets the root of the gain.
    down = BandedMatrix(down_matrix(down_taps, len(up), plan.down))
    return margin, BandedMatrix(2**0.25 * used), down


def _unused_margin(matrix: NDArray[np.float64]) -> int:
    """How many columns on each side hold nothing but zeros."""
    used = np.flatnonzero(matrix.any(0))
    return int(min(used[0], matrix.shape[1] - 1 - used[-1]))


class Generator(nn.Module):
    """Latents to pictures (B C R R) around [-1, 1]."""

    def __init__(self, config: GeneratorConfig, resolution: int, image_channels: int) -> None:
        super().__init__()
        bands = plan_bands(
            resolution, image_channels, config.layers, config.channel_base, config.channel_max
        )
        self.mapping = Mapping(config.z_dim, config.w_dim, config.mapping_layers)
        self.input = FourierInput(bands[0], config.w_dim)
        half_life = 1000 * config.magnitude_kimg
        self.layers = nn.ModuleList(
            SynthesisLayer(plan, config.w_dim, half_life) for plan in plan_layers(bands)
        )

    def forward(
        self,
        z: torch.Tensor,
        psi: float = 1.0,
        update: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> torch.Tensor:
        """Pictures of z (B Z); `update` moves the running mean of w and the magnitudes.

        Convolutions are computed in `dtype`, filters and all else in float32.
        """
        return self.synthesis(self.mapping(z, psi, update), update, dtype=dtype)

    def synthesis(
        self,
        w: torch.Tensor,
        update: bool = False,
        transform: torch.Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> torch.Tensor:
        """Pictures of styles w (B W)."""
        x = self.input(w, transform)
        for layer in self.layers:
            x = layer(x, w, update, dtype)
        return (x * OUTPUT_SCALE).contiguous()
