"""Generator and critic of one scale, five convolutions without padding each.

See docs/methods/singan_seg.md#generator-and-discriminator.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import conv2d, leaky_relu
from torch.nn.utils.fusion import fuse_conv_bn_eval

PAD = 5  # pixels that five 3x3 convolutions take off each side
SLOPE = 0.2  # of leaky ReLU
LARGEST_WIDTH = 128  # filters

Convolutions = tuple[tuple[torch.Tensor, torch.Tensor], ...]  # weight and bias, first to last


def filters_at(scale: int, filters: int) -> int:
    """Width of a scale: doubled every four scales, 128 at most."""
    return int(min(filters * 2 ** (scale // 4), LARGEST_WIDTH))


class Generator(nn.Module):
    """Adds tanh of five convolutions to the image of the scale below.

    Source: docs/methods/singan_seg.md#generator-and-discriminator, eq. 1.
    """

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.body = _convolution_body(channels, filters, padding=PAD)
        self.tail = nn.Conv2d(filters, channels, 3)

    def forward(self, x: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        """Images (B C H W) from x = amplitude * noise + previous, both of this size.

        x is padded with zeros.
        """
        residual: torch.Tensor = self.tail(self.body(x)).float().tanh()
        return residual + previous

    def set_momentum(self, momentum: float) -> None:
        """Weight of the next pass in the running statistics, which the frozen scale uses."""
        for layer in self.body:
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = momentum

    @torch.no_grad()
    def freeze(self) -> Convolutions:
        """Batch norm with its running statistics, folded into the convolutions.

        `run_frozen` applies the result.
        """
        self.eval()
        convolutions = [layer for layer in self.body if isinstance(layer, nn.Conv2d)]
        norms = [layer for layer in self.body if isinstance(layer, nn.BatchNorm2d)]
        layers = [fuse_conv_bn_eval(*both) for both in zip(convolutions, norms, strict=True)]
        layers.append(self.tail)  # which no norm follows
        frozen: list[tuple[torch.Tensor, torch.Tensor]] = []
        for layer in layers:
            assert layer.bias is not None
            frozen.append((layer.weight.detach().clone(), layer.bias.detach().clone()))
        return tuple(frozen)


class Critic(nn.Module):
    """A map (B 1 H-10 W-10) of scores, one for each 11x11 patch."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.body = _convolution_body(channels, filters, padding=0)
        self.tail = nn.Conv2d(filters, 1, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores of images (B C H W).

        Training passes one image at a time: batch norm uses the statistics of each pass.
        """
        scores: torch.Tensor = self.tail(self.body(images))
        return scores


@torch.no_grad()
def run_frozen(convolutions: Convolutions, x: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
    """Images (B C H W) that a frozen generator gives for x and previous (B C H W)."""
    result = x
    for number, (weight, bias) in enumerate(convolutions[:-1]):
        padding = PAD if number == 0 else 0
        result = leaky_relu(conv2d(result, weight, bias, padding=padding), SLOPE)
    return conv2d(result, *convolutions[-1]).tanh() + previous


def initialise_weights(network: nn.Module) -> None:
    """Draw convolutions from N(0, 0.02) and norms from N(1, 0.02).

    The biases of convolutions stay as torch draws them.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)


def _convolution_body(channels: int, filters: int, padding: int) -> nn.Sequential:
    """Four convolutions with batch norm and leaky ReLU; only the first one is padded."""
    layers: list[nn.Module] = [nn.Conv2d(channels, filters, 3, padding=padding)]
    layers += [nn.BatchNorm2d(filters), nn.LeakyReLU(SLOPE)]
    for _ in range(3):
        layers.append(nn.Conv2d(filters, filters, 3))
        layers += [nn.BatchNorm2d(filters), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)
