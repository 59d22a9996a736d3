"""The discriminator of FastGAN, which also draws the real images that it has seen.

See docs/methods/ssgnet.md#fastgan and Liu et al. 2021.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from methods.ssgnet.config import FastGANConfig
from methods.ssgnet.fastgan.layers import (
    COARSEST,
    SLOPE,
    EnlargedConvolution,
    GatedLinearUnit,
    SkipExcitation,
    channels_at,
    normalised_convolution,
)

FINAL = 8  # pixels a side of the last map
REACH = 8  # a gate is read from a map of so many times the side
WITH_SMALL_COPY = 256  # pixels a side from which a second discriminator sees a halved copy


class Judged(NamedTuple):
    """What the discriminator makes of pictures."""

    logits: torch.Tensor  # (B P), one for each patch
    whole: torch.Tensor  # (B C 8 8), the last map
    fine: torch.Tensor  # (B C 16 16), the one before


class DownBlock(nn.Module):
    """Halves the side of a map in two ways, whose mean it gives."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolved = nn.Sequential(
            halving_layers(inputs, outputs),
            normalised_convolution(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.pooled = nn.Sequential(
            nn.AvgPool2d(2),
            normalised_convolution(inputs, outputs, 1),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(SLOPE, inplace=True),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean: torch.Tensor = (self.convolved(x) + self.pooled(x)) / 2
        return mean


class Discriminator(nn.Module):
    """Logits of patches of pictures (B C R R), and two decoders of its maps."""

    def __init__(self, config: FastGANConfig, side: int, channels: int) -> None:
        super().__init__()
        width = config.discriminator_width
        self.first = nn.Sequential(
            normalised_convolution(channels, channels_at(side, width), 3, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.side = side
        self.sides = sides_down_from(side)
        blocks = nn.ModuleDict()
        gates = nn.ModuleDict()
        for coarser in self.sides:
            outputs = channels_at(coarser, width)
            blocks[str(coarser)] = DownBlock(channels_at(2 * coarser, width), outputs)
            if REACH * coarser <= side:
                inputs = channels_at(REACH * coarser, width)
                gates[str(coarser)] = SkipExcitation(inputs, outputs)
        self.blocks = blocks
        self.gates = gates
        final = channels_at(FINAL, width)
        self.logits = nn.Sequential(
            normalised_convolution(final, channels_at(COARSEST, width), 1),
            nn.BatchNorm2d(channels_at(COARSEST, width)),
            nn.LeakyReLU(SLOPE, inplace=True),
            normalised_convolution(channels_at(COARSEST, width), 1, COARSEST),
        )
        self.of_copy = copy_discriminator(channels, width) if side >= WITH_SMALL_COPY else None
        self.whole_decoder = build_decoder(final, side, channels, width)
        self.quarter_decoder = build_decoder(channels_at(2 * FINAL, width), side, channels, width)

    def forward(self, pictures: torch.Tensor) -> Judged:
        """Logits of pictures in [-1, 1], and the maps that `reconstruct` takes."""
        x = self.first(pictures)
        maps = {self.side: x}
        for side in self.sides:
            x = self.blocks[str(side)](x)
            if str(side) in self.gates:
                x = self.gates[str(side)](maps[REACH * side], x)
            maps[side] = x
        logits = self.logits(x).flatten(1)
        if self.of_copy is not None:
            logits = torch.cat([logits, self.of_copy(avg_pool2d(pictures, 2)).flatten(1)], 1)
        return Judged(logits.float(), maps[FINAL], maps[2 * FINAL])

    def reconstruct(self, judged: Judged, quarter: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures at half of the side: the whole, and one of the four quarters in full detail."""
        whole: torch.Tensor = self.whole_decoder(judged.whole)
        part: torch.Tensor = self.quarter_decoder(cut_quarter(judged.fine, quarter))
        return whole.float(), part.float()


def cut_quarter(x: torch.Tensor, quarter: int) -> torch.Tensor:
    """One of the four quarters (B C H/2 W/2) of maps (B C H W), row by row."""
    half = x.shape[-1] // 2
    top = half * (quarter // 2)
    left = half * (quarter % 2)
    return x[:, :, top : top + half, left : left + half]


def sides_down_from(side: int) -> list[int]:
    """The sides after the first map, in pixels: half of it, down to 8."""
    sides: list[int] = []
    while side > FINAL:
        side //= 2
        sides.append(side)
    return sides


def halving_layers(inputs: int, outputs: int) -> nn.Sequential:
    """A 4x4 convolution of stride two with its norm and activation."""
    return nn.Sequential(
        normalised_convolution(inputs, outputs, 4, 2, 1),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


def copy_discriminator(channels: int, width: int) -> nn.Sequential:
    """Logits of the patches of pictures of 128 pixels, halved from those of 256."""
    fine, middle, coarse = (channels_at(side, width) for side in (256, 128, 64))
    return nn.Sequential(
        normalised_convolution(channels, fine, 4, 2, 1),
        nn.LeakyReLU(SLOPE, inplace=True),
        halving_layers(fine, middle),
        halving_layers(middle, coarse),
        halving_layers(coarse, coarse),
        normalised_convolution(coarse, 1, COARSEST),
    )


def build_decoder(inputs: int, side: int, channels: int, width: int) -> nn.Sequential:
    """From a map of 8 pixels a side to pictures of half of `side`, in [-1, 1]."""
    layers: list[nn.Module] = []
    finer = 2 * FINAL
    while finer <= side // 2:
        outputs = channels_at(finer, max(1, width // 2))
        layers += [EnlargedConvolution(inputs, 2 * outputs), nn.BatchNorm2d(2 * outputs)]
        layers.append(GatedLinearUnit())
        inputs = outputs
        finer *= 2
    return nn.Sequential(*layers, normalised_convolution(inputs, channels, 3, padding=1), nn.Tanh())
