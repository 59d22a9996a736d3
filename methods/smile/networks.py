"""Generator, reconstructor and critic (docs/methods/smile.md#networks).

The lesion segmenter is the suite's backbone.
"""

from __future__ import annotations

import torch
from torch import nn

SLOPE = 0.2  # of the leaky ReLUs of the critic


def body_mask(images: torch.Tensor, background: float) -> torch.Tensor:
    """1 (B 1 H W) where some channel of images (B C H W) in [0, 1] is brighter than background."""
    return (images.amax(1, keepdim=True) > background).float()


class Generator(nn.Module):
    """Adds a change to an image: none at the start of training.

    "added": x + tanh(net(x)), as in GVS. "blended": x + s (mean + c - x), where
    (s, c) = tanh(net(x)), s is the share of a pixel that is replaced, and mean is the mean colour
    of what is left of the body. Source: docs/methods/smile.md#networks.
    """

    def __init__(
        self,
        channels: int,
        width: int = 64,
        blocks: int = 9,
        change: str = "added",
        background: float = 0.05,
    ) -> None:
        super().__init__()
        self.blended = change == "blended"
        self.background = background
        self.body = nn.Sequential(
            *_with_norm(_wide_convolution(channels, width), width),
            *_with_norm(nn.Conv2d(width, 2 * width, 3, 2, 1), 2 * width),
            *_with_norm(nn.Conv2d(2 * width, 4 * width, 3, 2, 1), 4 * width),
            *(Residual(4 * width, normed=True) for _ in range(blocks)),
            *_with_norm(_transposed_convolution(4 * width, 2 * width), 2 * width),
            *_with_norm(_transposed_convolution(2 * width, width), width),
        )
        self.last = _wide_convolution(width, channels + self.blended)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
        zero_weights(self.last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Pseudo-healthy images (B C H W), not clipped; H and W must be multiples of 4."""
        output: torch.Tensor = self.last(self.body(images)).float().tanh()
        if not self.blended:
            return images + output
        share = output[:, :1]
        colour = output[:, 1:]
        left = (1 - share.abs()) * body_mask(images, self.background)
        pixels = left.sum((2, 3), keepdim=True).clamp(min=1)
        mean = (left * images).sum((2, 3), keepdim=True) / pixels
        return images + share * (mean + colour - images)


class Reconstructor(nn.Module):
    """Puts lesions (B L H W) back into pseudo-healthy images (B C H W).

    Two levels down, residual blocks, and up again with skip connections.
    """

    def __init__(self, channels: int, lesions: int, width: int = 32, blocks: int = 6) -> None:
        super().__init__()
        w = width
        self.full = nn.Sequential(
            _wide_convolution(channels + lesions, w),
            nn.ReLU(inplace=True),
            _wide_convolution(w, w),
            nn.ReLU(inplace=True),
        )
        self.down_half = _down(w, 2 * w)
        self.down_quarter = _down(2 * w, 4 * w)
        self.blocks = nn.Sequential(*(Residual(4 * w, normed=False) for _ in range(blocks)))
        self.up_half = _up(4 * w, 2 * w)
        self.up_full = _up(2 * w, w)
        self.join_half = nn.Sequential(nn.Conv2d(4 * w, 2 * w, 3, padding=1), nn.ReLU(inplace=True))
        self.join_full = nn.Sequential(nn.Conv2d(2 * w, w, 3, padding=1), nn.ReLU(inplace=True))
        self.last = _wide_convolution(w, channels)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight)
        zero_weights(self.last)

    def forward(self, images: torch.Tensor, lesions: torch.Tensor) -> torch.Tensor:
        """Images with lesions (B C H W), not clipped: the images plus tanh of the network."""
        full = self.full(torch.cat([images, lesions], 1))
        half = self.down_half(full)
        x = self.up_half(self.blocks(self.down_quarter(half)))
        x = self.up_full(self.join_half(torch.cat([x, half], 1)))
        change: torch.Tensor = self.last(self.join_full(torch.cat([x, full], 1)))
        return images + change.float().tanh()


class Critic(nn.Module):
    """Scores (B,) of images (B C H W), high for normal ones; H and W must be 16 or more.

    It has no norm layers.
    """

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        w = width
        pool = nn.MaxPool2d(2)
        self.down = nn.Sequential(
            *_with_leaky_relu(channels, w),
            pool,
            *_with_leaky_relu(w, 2 * w),
            pool,
            *_with_leaky_relu(2 * w, 4 * w),
            *_with_leaky_relu(4 * w, 4 * w),
            pool,
            *_with_leaky_relu(4 * w, 8 * w),
            *_with_leaky_relu(8 * w, 8 * w),
            pool,
        )
        self.middle = nn.Sequential(
            *_with_leaky_relu(8 * w, 8 * w), *_with_leaky_relu(8 * w, 8 * w)
        )
        self.end = nn.Sequential(
            *_with_leaky_relu(16 * w, 16 * w),
            *_with_leaky_relu(16 * w, 16 * w),
            *_with_leaky_relu(16 * w, 16 * w),
            nn.Conv2d(16 * w, 1, 3, padding=1),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.down(images)
        scores: torch.Tensor = self.end(torch.cat([x, self.middle(x)], 1))
        return scores.mean((1, 2, 3))


class Residual(nn.Module):
    """x + conv(relu(conv(x))), mirrored at the border, with or without instance norm."""

    def __init__(self, width: int, normed: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
            _norm_or_identity(width, normed),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
            _norm_or_identity(width, normed),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.body(x)
        return result


def zero_weights(layer: nn.Conv2d) -> None:
    """Set weights and bias to 0, so that a network that ends with this layer changes nothing."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _norm_or_identity(width: int, normed: bool) -> nn.Module:
    return nn.InstanceNorm2d(width) if normed else nn.Identity()


def _wide_convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """7x7, mirrored at the border."""
    return nn.Conv2d(inputs, outputs, 7, padding=3, padding_mode="reflect")


def _transposed_convolution(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Doubles the side."""
    return nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)


def _with_norm(convolution: nn.Module, width: int) -> tuple[nn.Module, ...]:
    return convolution, nn.InstanceNorm2d(width), nn.ReLU(inplace=True)


def _with_leaky_relu(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(SLOPE)


def _down(inputs: int, outputs: int) -> nn.Sequential:
    first = nn.Conv2d(inputs, outputs, 3, padding=1)
    second = nn.Conv2d(outputs, outputs, 3, 2, 1)
    return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_transposed_convolution(inputs, outputs), nn.ReLU(inplace=True))
