"""Sliding windows over volumes that are larger than the patch a network was trained on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch.nn.functional import pad

Window = tuple[slice, ...]  # the part of a volume that it shows


def starts(side: int, window: int, stride: int) -> list[int]:
    """Where windows begin along one side; the last one ends where the side ends."""
    if side <= window:
        return [0]
    count = math.ceil((side - window) / stride) + 1
    return [min(stride * number, side - window) for number in range(count)]


def average(
    segment: Callable[[torch.Tensor], torch.Tensor],
    volume: torch.Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    batch: int,
) -> torch.Tensor:
    """Probabilities (K *S) of a volume (C *S): for each voxel, the mean over all its windows.

    `segment` takes windows (B C *size), at most `batch` at once. A volume that is smaller than a
    window is padded with zeros on all sides.
    """
    padded, inner = _padded(volume, size)
    windows = _windows(padded.shape[1:], size, stride)
    visits = padded.new_zeros(padded.shape[1:])
    total = padded.new_zeros(())
    for first in range(0, len(windows), batch):
        group = windows[first : first + batch]
        images = torch.stack([padded[:, *window] for window in group])
        predicted = segment(images).float()
        if total.ndim == 0:
            total = predicted.new_zeros(predicted.shape[1], *padded.shape[1:])
        for window, probabilities in zip(group, predicted, strict=True):
            total[:, *window] += probabilities
            visits[window] += 1
    return (total / visits)[:, *inner]


def _padded(volume: torch.Tensor, size: Sequence[int]) -> tuple[torch.Tensor, Window]:
    """A volume (C *S) padded to at least a window, and where the volume lies in it."""
    amounts: list[int] = []  # of the last side first, as torch wants them
    inner: list[slice] = []
    for side, window in zip(volume.shape[1:], size, strict=True):
        missing = max(0, window - side)
        before = missing // 2
        amounts = [before, missing - before, *amounts]
        inner.append(slice(before, before + side))
    return pad(volume, amounts), tuple(inner)


def _windows(sides: Sequence[int], size: Sequence[int], stride: Sequence[int]) -> list[Window]:
    """All windows over a volume."""
    windows = []
    for corner in itertools.product(*map(starts, sides, size, stride)):
        spans = zip(corner, size, strict=True)
        windows.append(tuple(slice(start, start + length) for start, length in spans))
    return windows
