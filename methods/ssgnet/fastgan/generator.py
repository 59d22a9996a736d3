"""The generator of FastGAN: blocks that double the side, and gates from coarse to fine maps.

See docs/methods/ssgnet.md#fastgan and Liu et al. 2021.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from methods.ssgnet.config import FastGANConfig
from methods.ssgnet.fastgan.layers import (
    COARSEST,
    DEVIATION,
    EnlargedConvolution,
    GatedLinearUnit,
    SkipExcitation,
    channels_at,
    normalised_convolution,
)

SMALL = 64  # pixels; up to this side, gates reach over three doublings instead of four


class Noise(nn.Module):
    """Adds one map of noise to all channels, times a learnt number that begins at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        shape = (len(x), 1, *x.shape[2:])
        noise = torch.randn(shape, generator=random, device=random.device)
        return x + self.scale * noise.to(x.device)


class UpBlock(nn.Module):
    """Doubles the side of a map; a noisy block has two convolutions and noise after each."""

    def __init__(self, inputs: int, outputs: int, noisy: bool) -> None:
        super().__init__()
        convolutions: list[nn.Module] = [EnlargedConvolution(inputs, 2 * outputs)]
        if noisy:
            convolutions.append(normalised_convolution(outputs, 2 * outputs, 3, padding=1))
        self.convolutions = nn.ModuleList(convolutions)
        self.norms = nn.ModuleList(nn.BatchNorm2d(2 * outputs) for _ in convolutions)
        self.noises = nn.ModuleList(Noise() for _ in convolutions if noisy)
        self.glu = GatedLinearUnit()

    def forward(self, x: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        for number, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if self.noises:
                x = self.noises[number](x, random)
            x = self.glu(self.norms[number](x))
        return x


class Generator(nn.Module):
    """Pictures (B C R R) in [-1, 1] of latents (B Z)."""

    def __init__(self, config: FastGANConfig, side: int, channels: int) -> None:
        super().__init__()
        first = channels_at(COARSEST, config.width)
        seed_map = nn.ConvTranspose2d(config.z_dim, 2 * first, COARSEST, bias=False)
        nn.init.normal_(seed_map.weight, 0.0, DEVIATION)
        self.first = nn.Sequential(
            spectral_norm(seed_map), nn.BatchNorm2d(2 * first), GatedLinearUnit()
        )
        self.sides = sides_up_to(side)
        blocks = nn.ModuleDict()
        for number, finer in enumerate(self.sides):
            inputs = channels_at(finer // 2, config.width)
            outputs = channels_at(finer, config.width)
            blocks[str(finer)] = UpBlock(inputs, outputs, noisy=number % 2 == 0)
        self.blocks = blocks
        gates = nn.ModuleDict()
        for finer, coarser in gated_sides(side).items():
            inputs = channels_at(coarser, config.width)
            gates[str(finer)] = SkipExcitation(inputs, channels_at(finer, config.width))
        self.gates = gates
        self.gate_sources = gated_sides(side)
        self.last = normalised_convolution(channels_at(side, config.width), channels, 3, padding=1)

    def forward(self, z: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Pictures of z; `random` gives the noise."""
        x = self.first(normalise_latents(z)[:, :, None, None])
        maps = {COARSEST: x}
        for side in self.sides:
            x = self.blocks[str(side)](x, random)
            if side in self.gate_sources:
                x = self.gates[str(side)](maps[self.gate_sources[side]], x)
            maps[side] = x
        pictures: torch.Tensor = self.last(x).float().tanh()
        return pictures


def normalise_latents(z: torch.Tensor) -> torch.Tensor:
    """Latents (B Z) scaled so that the mean square of each is one."""
    return z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def sides_up_to(side: int) -> list[int]:
    """The sides after the first map, in pixels: 8, 16 and so on."""
    sides: list[int] = []
    finer = 2 * COARSEST
    while finer <= side:
        sides.append(finer)
        finer *= 2
    return sides


def gated_sides(side: int) -> dict[int, int]:
    """Sides of the maps with a gate, and those of the maps that it is read from.

    Published: 64, 128 and 256 from 4, 8 and 16. Pictures of 64 pixels or fewer would have a single
    gate then, so theirs reach from 4 to 32 and from 8 to 64 (docs/methods/ssgnet.md#deviations).
    """
    factor = 8 if side <= SMALL else 16
    gated: dict[int, int] = {}
    for finer in sides_up_to(side):
        if finer // factor >= COARSEST:
            gated[finer] = finer // factor
    return gated
