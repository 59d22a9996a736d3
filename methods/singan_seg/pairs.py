"""An image and its mask as one stack of channels in [-1, 1], and back (dossier, sections 1 and 4)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate, one_hot


def to_pair(image: NDArray[np.float32], mask: NDArray[np.int64], classes: int) -> torch.Tensor:
    """Channels (1 C+K-1 H W) in [-1, 1] of an image (C H W) in [0, 1] and a mask (H W): one map a foreground class."""
    maps = one_hot(torch.tensor(mask), classes).movedim(-1, 0)[1:]
    return 2 * torch.cat([torch.tensor(image), maps.float()])[None] - 1


def from_pairs(pairs: torch.Tensor, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (B C H W) and maps of the foreground classes (B K-1 H W), both in [0, 1]."""
    values = ((pairs + 1) / 2).clamp(0, 1)
    return values[:, :channels], values[:, channels:]


def to_mask(maps: torch.Tensor) -> torch.Tensor:
    """Labels (B H W) of maps (B K-1 H W) in [0, 1]: the highest class among those above 0.5, else background."""
    highest, label = maps.max(1)
    return torch.where(highest > 0.5, label + 1, 0)


def to_size(values: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Values (B C H W) on another grid, bilinear, antialiased when it shrinks."""
    if values.shape[2:] == torch.Size(size):
        return values
    return interpolate(values, size=size, mode="bilinear", antialias=True, align_corners=False)
