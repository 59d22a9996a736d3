"""Level sets of DTC: their targets, their head and their masks (docs/methods/dtc.md#level-sets)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import nn

from bench.api import Run, Spec


class LevelSetHead(nn.Module):
    """Level sets in [-1, 1] (B K-1 *S), one of each foreground class, of features (B D *S)."""

    def __init__(self, width: int, classes: int, ndim: int) -> None:
        super().__init__()
        convolution: Any = nn.Conv3d if ndim == 3 else nn.Conv2d
        self.convolution = convolution(width, classes - 1, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Negative inside of a class, positive outside."""
        logits: torch.Tensor = self.convolution(features)
        return logits.tanh()


def masks_of(level_sets: torch.Tensor, steepness: float) -> torch.Tensor:
    """S(z) = sigmoid(-k z), eq. 3: near 1 inside of a class and near 0 outside."""
    return torch.sigmoid(-steepness * level_sets)


def require_each_class(masks: Sequence[NDArray[np.int64]], spec: Spec) -> None:
    """Raise ValueError where a class is in none of the masks: its level set has no border."""
    seen = set[int]().union(*(np.unique(mask).tolist() for mask in masks))
    missing = sorted(set(range(1, spec.classes)) - seen)
    if missing:
        raise ValueError(
            f"class {missing[0]} is in no labelled image; dtc learns the distance to the border of "
            "each class; label an image that shows it, or leave dtc out"
        )


def signed_distances(masks: torch.Tensor, classes: int, zero_border: bool) -> torch.Tensor:
    """Targets of level sets (B K-1 *S) float32 of masks (B *S) on the host, eq. 2."""
    maps: list[NDArray[np.float32]] = []
    for mask in masks.numpy():
        maps += [signed_distance(mask == label, zero_border) for label in range(1, classes)]
    stacked = torch.from_numpy(np.stack(maps))
    return stacked.unflatten(0, (len(masks), classes - 1))


def signed_distance(inside: NDArray[np.bool_], zero_border: bool) -> NDArray[np.float32]:
    """Distance to the border of a class (*S), each side divided by its own largest.

    Negative inside, positive outside; 1 where the class is absent and -1 where it is everywhere.
    With `zero_border` the last pixel inside is 0.
    """
    if not inside.any():
        return np.ones(inside.shape, np.float32)
    if inside.all():
        return np.full(inside.shape, -1, np.float32)
    to_outside = distance_transform_edt(inside)
    to_inside = distance_transform_edt(~inside)
    level_set = to_inside / to_inside.max() - to_outside / to_outside.max()
    if zero_border:
        level_set[to_outside == 1] = 0
    return np.asarray(level_set, np.float32)


@torch.no_grad()
def build_level_set_head(network: Any, spec: Spec, run: Run) -> LevelSetHead:
    """A head for the features of a network. Raises ValueError if these are coarser than images."""
    network.eval()
    features = network.features(torch.zeros(1, spec.channels, *spec.size))
    if features.shape[2:] != spec.size:
        raise ValueError(
            f"backbone {type(network).__name__} gives features of {tuple(features.shape[2:])} for "
            f"images of {spec.size}; dtc draws level sets in full resolution; choose a network "
            "that decodes to it"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed("heads"))
        return LevelSetHead(features.shape[1], spec.classes, spec.ndim)
