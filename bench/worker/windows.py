"""Sliding windows over volumes that are larger than the patch a network was trained on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch.nn.functional import pad


def starts(side: int, window: int, stride: int) -> list[int]:
    """Where windows begin along one side (common protocol, section 5); the last one ends with the side."""
    if side <= window:
        return [0]
    return [min(stride * i, side - window) for i in range(math.ceil((side - window) / stride) + 1)]


def average(
    segment: Callable[[torch.Tensor], torch.Tensor],
    volume: torch.Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    batch: int,
) -> torch.Tensor:
    """Probabilities (K *S) of a volume (C *S): the mean over all windows that show a voxel.

    `segment` takes windows (B C *size), at most `batch` at once. A volume smaller than a window lies amid zeros.
    """
    sides = volume.shape[1:]
    around = [
        (max(0, w - s) // 2, max(0, w - s) - max(0, w - s) // 2)
        for s, w in zip(sides, size, strict=True)
    ]
    padded = pad(volume, [amount for pair in reversed(around) for amount in pair])
    corners = itertools.product(*map(starts, padded.shape[1:], size, stride))
    windows = [
        tuple(slice(a, a + w) for a, w in zip(corner, size, strict=True)) for corner in corners
    ]
    total, visits = padded.new_zeros(()), padded.new_zeros(padded.shape[1:])
    for first in range(0, len(windows), batch):
        group = windows[first : first + batch]
        found = segment(torch.stack([padded[:, *window] for window in group])).float()
        if total.ndim == 0:
            total = found.new_zeros(found.shape[1], *padded.shape[1:])
        for window, probabilities in zip(group, found, strict=True):
            total[:, *window] += probabilities
            visits[window] += 1
    inner = tuple(
        slice(before, before + side) for (before, _), side in zip(around, sides, strict=True)
    )
    return (total / visits)[:, *inner]
