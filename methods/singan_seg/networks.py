"""Generator and critic of one scale: five convolutions without padding each (dossier, section 2)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import conv2d, leaky_relu
from torch.nn.utils.fusion import fuse_conv_bn_eval

PAD = 5  # pixels that five 3x3 convolutions take off each side
SLOPE = 0.2

Convolutions = tuple[tuple[torch.Tensor, torch.Tensor], ...]  # weight and bias, first to last


def filters_at(scale: int, filters: int) -> int:
    """Width of a scale: doubled every four scales, 128 at most."""
    return int(min(filters * 2 ** (scale // 4), 128))


class Generator(nn.Module):
    """tanh of five convolutions, added to the image of the scale below."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.body, self.tail = (
            _body(channels, filters, padding=PAD),
            nn.Conv2d(filters, channels, 3),
        )

    def forward(self, x: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        """Images (B C H W) from x = amplitude * noise + previous, both of this size; zeros lie around x."""
        residual: torch.Tensor = self.tail(self.body(x)).tanh()
        return residual + previous

    def set_momentum(self, momentum: float) -> None:
        """Share of the next pass in the running statistics, which the frozen scale uses."""
        for layer in self.body:
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = momentum

    @torch.no_grad()
    def frozen(self) -> Convolutions:
        """The trained scale with running statistics, folded into its convolutions: `generate` runs them."""
        self.eval()
        convolutions = [layer for layer in self.modules() if isinstance(layer, nn.Conv2d)]
        norms = [layer for layer in self.modules() if isinstance(layer, nn.BatchNorm2d)]
        folded = [
            fuse_conv_bn_eval(*both) for both in zip(convolutions, norms, strict=False)
        ]  # the tail has no norm
        return tuple(
            (c.weight.detach().clone(), c.bias.detach().clone()) for c in (*folded, self.tail)
        )  # type: ignore[union-attr]


class Critic(nn.Module):
    """A map (B 1 H-10 W-10) of scores, one for each 11x11 patch."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.body, self.tail = _body(channels, filters, padding=0), nn.Conv2d(filters, 1, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores of images (B C H W), one image at a time in training: its statistics are those of the pass."""
        scores: torch.Tensor = self.tail(self.body(images))
        return scores


@torch.no_grad()
def generate(convolutions: Convolutions, x: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
    """What a frozen generator gives for x and previous (B C H W)."""
    result = x
    for number, (weight, bias) in enumerate(convolutions[:-1]):
        result = leaky_relu(conv2d(result, weight, bias, padding=0 if number else PAD), SLOPE)
    return conv2d(result, *convolutions[-1]).tanh() + previous


def initialise(network: nn.Module) -> None:
    """Convolutions N(0, 0.02), norms N(1, 0.02) with bias 0; biases of convolutions stay as torch draws them."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)


def _body(channels: int, filters: int, padding: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(4):
        first = number == 0
        layers.append(
            nn.Conv2d(channels if first else filters, filters, 3, padding=padding if first else 0)
        )
        layers += [nn.BatchNorm2d(filters), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)
