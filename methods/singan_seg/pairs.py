"""An image and its mask as one stack of channels in [-1, 1], and back.

See docs/methods/singan_seg.md#pairs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate, one_hot


def to_pair(image: NDArray[np.float32], mask: NDArray[np.int64], classes: int) -> torch.Tensor:
    """Stack an image (C H W) in [0, 1] and a mask (H W) to channels (1 C+K-1 H W) in [-1, 1].

    Each foreground class has a map of its own.
    """
    maps = one_hot(torch.tensor(mask), classes).movedim(-1, 0)[1:]
    return 2 * torch.cat([torch.tensor(image), maps.float()])[None] - 1


def from_pairs(pairs: torch.Tensor, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (B C H W) and maps of the foreground classes (B K-1 H W), both in [0, 1]."""
    values = ((pairs + 1) / 2).clamp(0, 1)
    return values[:, :channels], values[:, channels:]


def to_mask(maps: torch.Tensor) -> torch.Tensor:
    """Labels (B H W) of maps (B K-1 H W) in [0, 1].

    The class with the highest map above 0.5, or background where there is none.
    """
    highest, label = maps.max(1)
    return torch.where(highest > 0.5, label + 1, 0)


def to_size(values: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Resize values (B C H W) bilinearly, antialiased where the result is smaller."""
    if values.shape[2:] == torch.Size(size):
        return values
    return interpolate(values, size=size, mode="bilinear", antialias=True, align_corners=False)
