"""Layers that the generator and the discriminator of FastGAN share.

See docs/methods/ssgnet.md#fastgan and Liu et al. 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.functional import conv_transpose2d, pad
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2  # of leaky ReLU
DEVIATION = 0.02  # of initial weights
COARSEST = 4  # pixels a side of the first map
# Channels of a map by its side, in units of the width (Liu et al. 2021).
CHANNELS = {4: 16.0, 8: 8.0, 16: 4.0, 32: 2.0, 64: 2.0, 128: 1.0, 256: 0.5}


def channels_at(side: int, width: int) -> int:
    """Channels of the map of a side, at least one."""
    return max(1, int(CHANNELS[side] * width))


def normalised_convolution(
    inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0
) -> nn.Module:
    """A convolution without bias whose largest singular value is kept at one."""
    layer = nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
    nn.init.normal_(layer.weight, 0.0, DEVIATION)
    return spectral_norm(layer)


@contextmanager
def autocast(network: nn.Module, device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Within it, one forward pass of the network is computed in `dtype`.

    Spectral norms stay in float32: their power iteration goes on from step to step.
    """
    if dtype == torch.float32:
        yield
        return
    with parametrize.cached():
        for layer in network.modules():
            if parametrize.is_parametrized(layer, "weight"):
                _ = layer.weight  # computed here, and kept for the pass
        with torch.autocast(device.type, dtype):
            yield


class GatedLinearUnit(nn.Module):
    """Half of the channels, each times the sigmoid of one of the other half.

    torch's own loses the memory layout of its gradient, which the norm before it then pays for.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values, gates = x.chunk(2, 1)
        return values * gates.sigmoid()


class EnlargedConvolution(nn.Module):
    """Nearest upsampling by two and a 3x3 convolution, as one transposed convolution.

    Each pixel of the small map stands for four equal ones, so that the weights which meet it can be
    added first: 16 multiplications a pixel of the small map where there were 36.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = normalised_convolution(inputs, outputs, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = enlarged_weight(self.convolution.weight)  # type: ignore[arg-type]
        return conv_transpose2d(x, weight, stride=2, padding=1)


def enlarged_weight(weight: torch.Tensor) -> torch.Tensor:
    """Weights (O I 3 3) of a convolution after upsampling, for a transposed one (I O 4 4)."""
    padded = pad(weight.flip(2, 3).transpose(0, 1), (1, 1, 1, 1))
    rows = padded[:, :, 1:] + padded[:, :, :-1]
    return rows[..., 1:] + rows[..., :-1]


class SkipExcitation(nn.Module):
    """Gates (B C 1 1) in (0, 1) for the channels of one map, read from another map.

    Liu et al. 2021: the map is pooled to 4x4, then a 4x4 and a 1x1 convolution.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.gates = nn.Sequential(
            nn.AdaptiveAvgPool2d(COARSEST),
            normalised_convolution(inputs, outputs, COARSEST),
            nn.SiLU(),
            normalised_convolution(outputs, outputs, 1),
            nn.Sigmoid(),
        )

    def forward(self, source: torch.Tensor, excited: torch.Tensor) -> torch.Tensor:
        """`excited` (B C H W), each channel times its gate."""
        scaled: torch.Tensor = excited * self.gates(source)
        return scaled
