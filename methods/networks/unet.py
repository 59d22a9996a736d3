"""The 2D U-Net of SSL4MIS and its descendants (docs/methods/common.md#networks)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

DROPOUT = (0.05, 0.1, 0.2, 0.3, 0.5)  # of the encoder levels; the decoder has none


class UNet(nn.Module):
    """Five levels of width w, 2w, 4w, 8w, 16w; H and W must be multiples of 16.

    It has 1,813,764 parameters at width 16 with 1 channel and 4 classes. With fewer `levels` the
    deepest are missing, and H and W must be multiples of 2 to the number of halvings. Without
    `dropout` batch norms see in training what they see in prediction.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 16,
        levels: int = len(DROPOUT),
        dropout: bool = True,
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        inputs = [channels, *widths[:-1]]
        rates = DROPOUT[:levels] if dropout else [0.0] * levels
        self.multiple = 2 ** (levels - 1)
        self.encoder = nn.ModuleList(
            _block(i, o, p) for i, o, p in zip(inputs, widths, rates, strict=True)
        )
        self.shrink = nn.ModuleList(nn.Conv2d(2 * w, w, 1) for w in reversed(widths[:-1]))
        self.upsample: nn.Module = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.decoder = nn.ModuleList(_block(2 * w, w, 0.0) for w in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, classes, 3, padding=1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The last decoder map (B width H W) of images (B channels H W)."""
        if images.shape[-1] % self.multiple or images.shape[-2] % self.multiple:
            raise ValueError(
                f"unet got {tuple(images.shape[-2:])} pixels; it needs multiples of "
                f"{self.multiple}; change 'size'"
            )
        return self.decode(self.encode(images))[-1]

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """The deepest map, averaged over its pixels (B 16 width, with five levels)."""
        return self.encode(images)[-1].mean((2, 3))

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The map of each level, from full to, with five levels, a sixteenth of the resolution."""
        levels = [self.encoder[0](images)]
        for block in list(self.encoder)[1:]:
            levels.append(block(nn.functional.max_pool2d(levels[-1], 2)))
        return levels

    def decode(self, levels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The maps of the decoder, of which the last has full resolution, of those of `encode`."""
        maps: list[torch.Tensor] = []
        x = levels[-1]
        skips = reversed(levels[:-1])
        for shrink, block, skip in zip(self.shrink, self.decoder, skips, strict=True):
            x = block(torch.cat([skip, self.upsample(shrink(x))], 1))
            maps.append(x)
        return maps

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B classes H W) of images (B channels H W)."""
        logits: torch.Tensor = self.head(self.features(images))
        return logits


def _block(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.01, inplace=True),
        nn.Dropout(dropout),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.01, inplace=True),
    )
