"""Mixed images of BCP and their loss (docs/methods/bcp.md#mixing)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from methods.masked_losses import masked_cross_entropy, masked_dice_loss
from methods.schedules import late_ema_decay
from methods.training import ema_update


class Side(NamedTuple):
    """The targets (B *S) of one side of a box, and how much they weigh."""

    targets: torch.Tensor
    weight: float


def halves(batch: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` of the first and of the second half of a batch; a shorter half is repeated."""
    middle = len(batch) // 2
    places = torch.arange(count, device=batch.device)
    return batch[places % middle], batch[middle + places % (len(batch) - middle)]


def mixed_loss(
    logits: torch.Tensor, inside: torch.Tensor, outer: Side, inner: Side
) -> torch.Tensor:
    """(CE + Dice) / 2 of logits (B K *S), eq. 1: on each side of boxes (1 *S) with its targets."""
    p = logits.softmax(1)
    boxes = inside.expand_as(outer.targets)
    loss = logits.new_zeros(())
    for side, region in ((outer, ~boxes), (inner, boxes)):
        entropy = masked_cross_entropy(logits, side.targets, region)
        dice = masked_dice_loss(p, side.targets, region)
        loss = loss + side.weight * 0.5 * (entropy + dice)
    return loss


@torch.no_grad()
def update_teacher(
    teacher: nn.Module, student: nn.Module, steps: int, half_life: float, floor: float, whole: bool
) -> None:
    """Teacher = k teacher + (1 - k) student; with `whole`, batch statistics too."""
    keep = late_ema_decay(steps, half_life, floor)
    ema_update(teacher, student, keep)
    if not whole:
        return
    for slow, fast in zip(teacher.buffers(), student.buffers(), strict=True):
        if slow.is_floating_point():
            slow.lerp_(fast, 1 - keep)
