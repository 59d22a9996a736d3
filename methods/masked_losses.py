"""Losses over some pixels or some classes, which learners with mixed images or pseudo labels share.

Source: docs/methods/common.md#masked-losses.
"""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from methods.losses import class_maps, known_cross_entropy, without_ignored


def masked_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, inside: torch.Tensor
) -> torch.Tensor:
    """Mean cross-entropy of logits (B K *S) and targets (B *S) where `inside` (B *S) is true.

    It is 0 where nothing is inside.
    """
    inside = inside & (targets >= 0)
    each = cross_entropy(logits, targets, reduction="none")
    return (each * inside).sum() / inside.sum().clamp(min=1)


def masked_dice_loss(
    p: torch.Tensor,
    targets: torch.Tensor,
    inside: torch.Tensor | None = None,
    first_class: int = 0,
) -> torch.Tensor:
    """`dice_loss` of probabilities (B K *S) and targets (B *S) where `inside` (B *S) is true.

    The mean is over the classes from `first_class` on; 1 leaves out the background. It is 0 where
    nothing is inside.
    """
    truth = class_maps(targets, p.shape[1])[:, first_class:].to(p.dtype)
    p = without_ignored(p[:, first_class:], targets)
    if inside is not None:
        kept = inside[:, None].to(p.dtype)
        truth = truth * kept
        p = p * kept
    axes = [0, *range(2, p.ndim)]
    overlap = (p * truth).sum(axes)
    total = (p**2).sum(axes) + truth.sum(axes)  # ones and zeros are their squares
    return (1 - (2 * overlap + 1e-5) / (total + 1e-5)).mean()


def foreground_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """(cross-entropy + Dice of the foreground) / 2 of logits (B K *S) and masks (B *S)."""
    dice = masked_dice_loss(logits.softmax(1), masks, first_class=1)
    return 0.5 * (known_cross_entropy(logits, masks) + dice)
