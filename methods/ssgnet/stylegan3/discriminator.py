"""The residual discriminator of StyleGAN2 (docs/methods/ssgnet.md#discriminator)."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn.functional import conv2d, leaky_relu

from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3.filters import up_matrix
from methods.ssgnet.stylegan3.generator import SLOPE, Dense

FILTER = np.array([1, 3, 3, 1]) / 8
GROUP = 4  # images that share a standard deviation


class Convolution(nn.Module):
    """A convolution with weights scaled at run time.

    With a bias it is followed by a leaky ReLU of gain root 2, times `gain`.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, bias: bool = True, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        # Leaky ReLU commutes with positive factors, so its gain may multiply weight and bias.
        activation_gain = math.sqrt(2) if bias else 1.0
        self.gain = gain * activation_gain
        self.scale = self.gain / math.sqrt(inputs * kernel**2)

    def forward(
        self,
        x: torch.Tensor,
        stride: int = 1,
        padding: int = 0,
        dtype: torch.dtype | None = None,
    ) -> torch.Tensor:
        dtype = dtype or x.dtype
        weight = (self.weight * self.scale).to(dtype)
        if self.bias is None:
            return conv2d(x.to(dtype), weight, None, stride, padding).to(x.dtype)
        bias = (self.bias * self.gain).to(dtype)
        y = conv2d(x.to(dtype), weight, bias, stride, padding).to(x.dtype)
        return leaky_relu(y, SLOPE)


class Block(nn.Module):
    """Halves the side of x (B C H W); both branches are filtered by [1, 3, 3, 1] / 8 per axis."""

    blur: torch.Tensor
    halve: torch.Tensor

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.skip = Convolution(inputs, outputs, 1, bias=False, gain=math.sqrt(0.5))
        self.first = Convolution(inputs, inputs, 3)
        self.second = Convolution(inputs, outputs, 3, gain=math.sqrt(0.5))
        # Filters as matrices of one axis: products are faster than convolutions, and R1 can
        # differentiate them twice.
        blur = up_matrix(FILTER, side, 1, (2, 2))
        halve = up_matrix(FILTER, side, 1, (1, 1))[::2].copy()
        self.register_buffer("blur", torch.as_tensor(blur, dtype=torch.float32), persistent=False)
        self.register_buffer("halve", torch.as_tensor(halve, dtype=torch.float32), persistent=False)

    def forward(self, x: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        skipped = self.skip(self.halve @ x @ self.halve.T, dtype=dtype)
        features = self.first(x, padding=1, dtype=dtype)
        blurred = self.blur @ features @ self.blur.T
        result: torch.Tensor = skipped + self.second(blurred, stride=2, dtype=dtype)
        return result


def batch_deviation(x: torch.Tensor) -> torch.Tensor:
    """x (B C H W) with one more map: the mean standard deviation within groups of images.

    Group i holds the images i, i + B/4, i + 2B/4 and i + 3B/4.
    """
    group = max(n for n in range(1, GROUP + 1) if len(x) % n == 0)
    grouped = x.view(group, -1, *x.shape[1:])
    variance = (grouped - grouped.mean(0)).square().mean(0)
    deviation = (variance + 1e-8).sqrt().mean((1, 2, 3)).repeat(group)
    return torch.cat([x, deviation.view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])], 1)


class Discriminator(nn.Module):
    """Logits (B,) of pictures (B C R R), positive for pictures that seem real."""

    def __init__(self, config: GeneratorConfig, resolution: int, image_channels: int) -> None:
        super().__init__()
        levels = int(math.log2(resolution)) - 1
        sides = [resolution // 2**level for level in range(levels)]  # R, R/2, ..., 4
        widths = [min(config.channel_base // side, config.channel_max) for side in sides]
        self.from_rgb = Convolution(image_channels, widths[0], 1)
        blocks: list[Block] = []
        for side, (inputs, outputs) in zip(sides, pairwise(widths), strict=False):
            blocks.append(Block(inputs, outputs, side))
        self.blocks = nn.ModuleList(blocks)
        self.last = Convolution(widths[-1] + 1, widths[-1], 3)
        self.dense = Dense(16 * widths[-1], widths[-1])
        self.out = Dense(widths[-1], 1)

    def forward(self, images: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Convolutions of the blocks are computed in `dtype`, all else in that of the images."""
        x = self.from_rgb(images)
        for block in self.blocks:
            x = block(x, dtype)
        x = self.last(batch_deviation(x), padding=1)
        x = leaky_relu(self.dense(x.flatten(1)), SLOPE) * math.sqrt(2)
        logits: torch.Tensor = self.out(x).squeeze(1)
        return logits
