"""Further decoders of a network, which raise maps in other ways (docs/methods/mc_net_plus.md)."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from bench.api import Run
from methods.networks.start import draw_again
from methods.networks.unet import UNet
from methods.networks.vnet import Convolution, VNet


class OtherDecoders(nn.Module):
    """Two decoders beside that of a network, each with a head of its own and another start."""

    def __init__(self, network: nn.Module, run: Run) -> None:
        super().__init__()
        self.decoders = nn.ModuleList(other_decoders(network))
        for number, decoder in enumerate(self.decoders):
            draw_again(decoder, run.seed(f"decoder {number}"))

    def forward(self, levels: list[torch.Tensor]) -> list[torch.Tensor]:
        """Logits (B K *S) of each, of the maps of the network's encoder."""
        logits: list[torch.Tensor] = []
        for decoder in self.decoders:
            part: Any = decoder
            logits.append(part.head(part.decode(levels)[-1]))
        return logits


def other_decoders(network: nn.Module) -> list[nn.Module]:
    """Copies of a network without its encoder, which raise maps in the two ways that it does not.

    Raises ValueError for a network other than unet and vnet.
    """
    if isinstance(network, UNet):
        return [unet_decoder(network, "transposed"), unet_decoder(network, "nearest")]
    if isinstance(network, VNet):
        return [vnet_decoder(network, "trilinear"), vnet_decoder(network, "nearest")]
    raise ValueError(
        f"backbone {type(network).__name__} given; mc_net_plus needs decoders that raise maps in "
        "three ways; choose unet or vnet"
    )


def unet_decoder(network: UNet, way: str) -> UNet:
    """The decoder of a U-Net with transposed convolutions or nearest neighbours."""
    decoder = copy.deepcopy(network)
    decoder.encoder = nn.ModuleList()
    decoder.upsample = nn.Identity()  # what takes the place of `shrink` raises maps itself
    for number, shrink in enumerate(network.shrink):
        inputs, outputs = widths_of(shrink)
        raised: nn.Module = nn.ConvTranspose2d(inputs, outputs, 2, 2)
        if way == "nearest":
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
            raised = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), convolution)
        decoder.shrink[number] = raised
    return decoder


def vnet_decoder(network: VNet, way: str) -> VNet:
    """The decoder of a V-Net with trilinear values or nearest neighbours before a convolution."""
    decoder = copy.deepcopy(network)
    decoder.encoder = nn.ModuleList()
    decoder.down = nn.ModuleList()
    for number, up in enumerate(network.up):
        layers: Any = up
        inputs, outputs = widths_of(layers[0])
        aligned = True if way == "trilinear" else None
        decoder.up[number] = nn.Sequential(
            nn.Upsample(scale_factor=2, mode=way, align_corners=aligned),
            Convolution(inputs, outputs),
            *copy.deepcopy(layers)[1:],
        )
    return decoder


def widths_of(convolution: Any) -> tuple[int, int]:
    """Channels that a convolution takes and gives."""
    return convolution.in_channels, convolution.out_channels
