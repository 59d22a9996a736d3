"""Sharpened predictions and how decoders agree on them (docs/methods/mc_net_plus.md)."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def sharpen(p: torch.Tensor, temperature: float) -> torch.Tensor:
    """s(p) = p^(1/T) / (p^(1/T) + (1 - p)^(1/T)), eq. 2, of each value on its own.

    Computed as sigmoid(logit(p) / T): powers of small probabilities would be rounded to zero.
    """
    return torch.sigmoid(torch.logit(p, eps=1e-6) / temperature)


def sharpen_over_classes(p: torch.Tensor, temperature: float) -> torch.Tensor:
    """p^(1/T) of probabilities (B K *S), scaled to sum 1 over classes; eq. 2 for two classes."""
    return (p.clamp(min=1e-6).log() / temperature).softmax(1)


def pairwise_consistency(
    probabilities: Sequence[torch.Tensor], sharpened: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Sum over ordered pairs i != j of mean (p_i - s_j)^2, eq. 3, of maps (B K *S)."""
    total = probabilities[0].new_zeros(())
    for i, p in enumerate(probabilities):
        for j, target in enumerate(sharpened):
            if i != j:
                total = total + ((p - target) ** 2).mean()
    return total
