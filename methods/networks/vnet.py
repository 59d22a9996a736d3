"""The 3D V-Net of SSL4MIS and its descendants (docs/methods/common.md#networks)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

# Of the encoder levels; the decoder has as many at each level.
CONVOLUTIONS = (1, 2, 3, 3, 3)
DROPOUT = 0.5  # of whole channels, after the deepest level and before the head
# Depth at which torch 2.15 reads uninitialised memory for the weight gradients of a bfloat16
# convolution of volumes on a CPU: some are not finite.
FAULTY_DEPTH = 2


class VNet(nn.Module):
    """Five levels of width w, 2w, 4w, 8w, 16w, no residuals; sides must be multiples of 16.

    It has 9,448,866 parameters at width 16 with 1 channel and 2 classes.
    """

    def __init__(self, channels: int, classes: int, width: int = 16, dropout: bool = True) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        levels = list(zip(widths, CONVOLUTIONS, strict=True))
        inputs = [channels, *widths[1:]]
        self.encoder = nn.ModuleList(
            _level(i, w, n) for i, (w, n) in zip(inputs, levels, strict=True)
        )
        self.down = nn.ModuleList(_step(nn.Conv3d(w, 2 * w, 2, 2)) for w in widths[:-1])
        self.up = nn.ModuleList(
            _step(nn.ConvTranspose3d(2 * w, w, 2, 2)) for w in reversed(widths[:-1])
        )
        self.decoder = nn.ModuleList(_level(w, w, n) for w, n in reversed(levels[:-1]))
        rate = DROPOUT if dropout else 0.0
        self.dropout = nn.Dropout3d(rate)
        self.head = nn.Conv3d(width, classes, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The last decoder map (B width D H W), after dropout, of images (B channels D H W)."""
        if any(side % 16 for side in images.shape[2:]):
            raise ValueError(
                f"vnet got {tuple(images.shape[2:])} voxels; it needs multiples of 16; "
                "change 'size'"
            )
        return self.decode(self.encode(images))[-1]

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """The deepest map, averaged over its voxels (B 16 width)."""
        return self.encode(images)[-1].mean((2, 3, 4))

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The maps of the five levels, from full to a sixteenth of the resolution.

        The last one is after dropout, so that all decoders of a method see the same.
        """
        levels = [self.encoder[0](images)]
        for down, level in zip(self.down, list(self.encoder)[1:], strict=True):
            levels.append(level(down(levels[-1])))
        levels[-1] = self.dropout(levels[-1])
        return levels

    def decode(self, levels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The four maps of the decoder, from an eighth to full resolution, of those of `encode`.

        The last one is after dropout.
        """
        maps: list[torch.Tensor] = []
        x = levels[-1]
        skips = reversed(levels[:-1])
        for up, level, skip in zip(self.up, self.decoder, skips, strict=True):
            x = level(up(x) + skip)
            maps.append(x)
        maps[-1] = self.dropout(x)
        return maps

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B classes D H W) of images (B channels D H W)."""
        logits: torch.Tensor = self.head(self.features(images))
        return logits


class Convolution(nn.Conv3d):
    """3x3x3; in float32 under autocast where bfloat16 is faulty (FAULTY_DEPTH)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (B outputs D H W) of maps (B inputs D H W)."""
        if x.shape[2] != FAULTY_DEPTH or x.device.type != "cpu":
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


def _level(inputs: int, width: int, convolutions: int) -> nn.Sequential:
    channels = [inputs] + [width] * (convolutions - 1)
    return nn.Sequential(*(_step(Convolution(i, width)) for i in channels))


def _step(convolution: nn.Conv3d | nn.ConvTranspose3d) -> nn.Sequential:
    return nn.Sequential(
        convolution, nn.BatchNorm3d(convolution.out_channels), nn.ReLU(inplace=True)
    )
