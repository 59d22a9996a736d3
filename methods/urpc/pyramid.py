"""Predictions at several scales, their perturbations, and how they agree (docs/methods/urpc.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import dropout, interpolate

from bench.api import Run, Spec
from methods.urpc.config import Config

DROPOUT = 0.5  # of single values, at an eighth
KEPT_BELOW = (0.7, 0.9)  # of the largest attention: places above are zeroed, at a quarter
NOISE = 0.3  # at most, as a share of each value, at half of the resolution


class CoarseHeads(nn.Module):
    """Heads for coarse maps of a decoder, finest last; that of full resolution is the network's.

    In training each coarse map is perturbed in its own way (docs/methods/urpc.md#perturbations).
    """

    def __init__(self, widths: Sequence[int], classes: int, ndim: int, perturb: bool) -> None:
        super().__init__()
        convolution: Any = nn.Conv3d if ndim == 3 else nn.Conv2d
        self.heads = nn.ModuleList(convolution(w, classes, 3, padding=1) for w in widths)
        self.perturb = perturb

    def forward(self, maps: Sequence[torch.Tensor], size: Sequence[int]) -> list[torch.Tensor]:
        """Logits (B K *S) of size *S, by nearest neighbours, of all maps of the decoder."""
        logits: list[torch.Tensor] = []
        count = len(self.heads)
        coarse_maps = maps[-1 - count : -1]  # that of full resolution is the last one
        perturbations = PERTURBATIONS[-count:]
        for head, coarse, perturb in zip(self.heads, coarse_maps, perturbations, strict=True):
            perturbed = coarse
            if self.perturb and self.training:
                perturbed = perturb(coarse)
            logits.append(interpolate(head(perturbed), tuple(size), mode="nearest"))
        return logits


def drop_values(values: torch.Tensor) -> torch.Tensor:
    """Half of the values zero, the others doubled."""
    return dropout(values, DROPOUT)


def drop_places(values: torch.Tensor) -> torch.Tensor:
    """Maps (B C *S) with zeros where their channel mean is near the largest of the image."""
    attention = values.mean(1, keepdim=True)
    low, high = KEPT_BELOW
    share = low + (high - low) * torch.rand((), device=values.device)
    limit = share * attention.amax(tuple(range(1, values.ndim)), keepdim=True)
    return values * (attention < limit)


def scale_values(values: torch.Tensor) -> torch.Tensor:
    """Maps (B C *S) times 1 + U(-0.3, 0.3), drawn once for the whole batch."""
    noise = NOISE * (2 * torch.rand_like(values[0]) - 1)
    return values * (1 + noise)


PERTURBATIONS = (drop_values, drop_places, scale_values)  # at 1/8, 1/4, 1/2


def scale_consistency(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """How far predictions (B K *S) at several scales are from their mean, eq. 2 and 3."""
    log_scales = [scale.log_softmax(1) for scale in logits]
    # A logarithm of the mean that is finite where a probability is rounded to zero.
    log_mean = torch.stack(log_scales).logsumexp(0) - math.log(len(logits))
    mean = log_mean.exp()
    total = mean.new_zeros(())
    for log_p in log_scales:
        divergence = (mean * (log_mean - log_p)).sum(1, keepdim=True)
        sureness = (-divergence).exp()
        squares = ((mean - log_p.exp()) ** 2 * sureness).mean()
        total = total + squares / (sureness.mean() + 1e-8) + divergence.mean()
    return total / len(logits)


@torch.no_grad()
def build_coarse_heads(network: Any, spec: Spec, run: Run, config: Config) -> CoarseHeads:
    """Heads for the maps of a decoder at 1/2 and, where they are large enough, at 1/4 and 1/8.

    Raises ValueError if the decoder does not give four maps.
    """
    network.eval()
    maps = network.decode(network.encode(torch.zeros(1, spec.channels, *spec.size)))
    if len(maps) != 4:
        raise ValueError(
            f"backbone {type(network).__name__} given; urpc predicts from four maps of a decoder; "
            "choose unet or vnet"
        )
    widths: list[int] = []
    for level in maps[:-1]:
        if min(level.shape[2:]) >= config.coarsest_side:
            widths.append(level.shape[1])
    if not widths:
        widths.append(maps[-2].shape[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed("heads"))
        return CoarseHeads(widths, spec.classes, spec.ndim, config.perturb)
