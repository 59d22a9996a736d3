"""Generator, reconstructor and critic (dossier, section 2). The segmentor is the suite's backbone."""

from __future__ import annotations

import torch
from torch import nn

SLOPE = 0.2  # of the leaky ReLUs of the critic


def body(images: torch.Tensor, background: float) -> torch.Tensor:
    """B (B 1 H W), 1 where some channel of an image (B C H W) in [0, 1] is brighter than the black around the body."""
    return (images.amax(1, keepdim=True) > background).float()


class Generator(nn.Module):
    """Adds a change to an image: none at the start (11,365,633 parameters at width 64, 9 blocks, 1 channel).

    "added": x + tanh(net(x)), as GVS has it. "blended": x + s (mean + c - x), where (s, c) = tanh(net(x)), s is the
    share of a pixel that is replaced, and mean is the colour of what is left of the body.
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
        self.blended, self.background = change == "blended", background
        self.body = nn.Sequential(
            *_normed(nn.Conv2d(channels, width, 7, padding=3, padding_mode="reflect"), width),
            *_normed(nn.Conv2d(width, 2 * width, 3, 2, 1), 2 * width),
            *_normed(nn.Conv2d(2 * width, 4 * width, 3, 2, 1), 4 * width),
            *(Residual(4 * width, normed=True) for _ in range(blocks)),
            *_normed(
                nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, 1, output_padding=1), 2 * width
            ),
            *_normed(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1), width),
        )
        self.last = nn.Conv2d(width, channels + self.blended, 7, padding=3, padding_mode="reflect")
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
        silence(self.last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Pseudo-normal images (B C H W), not clipped; H and W must be multiples of 4."""
        found: torch.Tensor = self.last(self.body(images)).tanh()
        if not self.blended:
            return images + found
        share, colour = found[:, :1], found[:, 1:]
        left = (1 - share.abs()) * body(images, self.background)
        mean = (left * images).sum((2, 3), keepdim=True) / left.sum((2, 3), keepdim=True).clamp(
            min=1
        )
        return images + share * (mean + colour - images)


class Reconstructor(nn.Module):
    """Puts lesions (B L H W) back into pseudo-normal images (B C H W): two levels down, residuals, up with skips."""

    def __init__(self, channels: int, lesions: int, width: int = 32, blocks: int = 6) -> None:
        super().__init__()
        w = width
        self.full = nn.Sequential(
            nn.Conv2d(channels + lesions, w, 7, padding=3, padding_mode="reflect"), nn.ReLU(),
            nn.Conv2d(w, w, 7, padding=3, padding_mode="reflect"), nn.ReLU(),
        )  # fmt: skip
        self.down_half, self.down_quarter = _down(w, 2 * w), _down(2 * w, 4 * w)
        self.blocks = nn.Sequential(*(Residual(4 * w, normed=False) for _ in range(blocks)))
        self.up_half, self.up_full = _up(4 * w, 2 * w), _up(2 * w, w)
        self.join_half = nn.Sequential(nn.Conv2d(4 * w, 2 * w, 3, padding=1), nn.ReLU())
        self.join_full = nn.Sequential(nn.Conv2d(2 * w, w, 3, padding=1), nn.ReLU())
        self.last = nn.Conv2d(w, channels, 7, padding=3, padding_mode="reflect")
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight)
        silence(self.last)

    def forward(self, images: torch.Tensor, lesions: torch.Tensor) -> torch.Tensor:
        """Images with lesions (B C H W), not clipped: the images plus tanh of what is put in."""
        full = self.full(torch.cat([images, lesions], 1))
        half = self.down_half(full)
        x = self.up_half(self.blocks(self.down_quarter(half)))
        x = self.up_full(self.join_half(torch.cat([x, half], 1)))
        found: torch.Tensor = self.last(self.join_full(torch.cat([x, full], 1))).tanh()
        return images + found


class Critic(nn.Module):
    """Scores (B,) of images (B C H W), high where they look normal; no normalisation; H and W of 16 or more."""

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        w, pool = width, nn.MaxPool2d(2)
        self.down = nn.Sequential(
            *_sharp(channels, w), pool, *_sharp(w, 2 * w), pool,
            *_sharp(2 * w, 4 * w), *_sharp(4 * w, 4 * w), pool,
            *_sharp(4 * w, 8 * w), *_sharp(8 * w, 8 * w), pool,
        )  # fmt: skip
        self.middle = nn.Sequential(*_sharp(8 * w, 8 * w), *_sharp(8 * w, 8 * w))
        self.end = nn.Sequential(
            *_sharp(16 * w, 16 * w),
            *_sharp(16 * w, 16 * w),
            *_sharp(16 * w, 16 * w),
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
            nn.InstanceNorm2d(width) if normed else nn.Identity(),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(width) if normed else nn.Identity(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.body(x)
        return result


def silence(layer: nn.Conv2d) -> None:
    """Weights and bias of 0, so that a network whose last layer it is starts without any change."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _normed(convolution: nn.Module, width: int) -> tuple[nn.Module, ...]:
    return convolution, nn.InstanceNorm2d(width), nn.ReLU()


def _sharp(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(SLOPE)


def _down(inputs: int, outputs: int) -> nn.Sequential:
    first, second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, 2, 1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1), nn.ReLU())
