"""Losses that trainings share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from bench.api import Region, Spec, Task

# Of logits (B K *S) and masks (B *S) or, in classification, of logits (B K) and labels (B).
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def class_maps(masks: torch.Tensor, classes: int) -> torch.Tensor:
    """Where each class is (B K *S), true or false, of masks (B *S).

    Unlike torch's `one_hot` it does not read the masks, for which the host would wait. Classes lie
    innermost in memory, as in maps of networks.
    """
    numbers = torch.arange(classes, device=masks.device)
    return (masks.contiguous().unsqueeze(-1) == numbers).movedim(-1, 1)


def without_ignored(maps: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Maps (B K *S), 0 where masks (B *S) know no class (`bench.api.IGNORE_INDEX`)."""
    return maps * (masks >= 0)[:, None].to(maps.dtype)


def dice_loss(probabilities: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """1 - soft Dice with squared denominators, averaged over classes.

    Takes probabilities (B K *S) and masks (B *S) and sums over the whole batch
    (docs/methods/common.md#losses, eq. 2).
    """
    truth = class_maps(masks, probabilities.shape[1]).to(probabilities.dtype)
    return _dice_of_maps(without_ignored(probabilities, masks), truth)


def _dice_of_maps(probabilities: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1 - soft Dice of maps (B K *S), each with its truth of zeros and ones, averaged over K."""
    axes = [0, *range(2, probabilities.ndim)]
    overlap = (probabilities * truth).sum(axes)
    total = (probabilities**2).sum(axes) + truth.sum(axes)  # ones and zeros are their squares
    return (1 - (2 * overlap + 1e-5) / (total + 1e-5)).mean()


def known_cross_entropy(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of logits (B K *S) where masks (B *S) know a class; 0 where none does.

    torch gives NaN for the latter, which a patch of sparsely annotated volumes may be.
    """
    entropy = cross_entropy(logits, masks)
    return torch.where((masks >= 0).any(), entropy, torch.zeros_like(entropy))


def segmentation_loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """(cross-entropy + Dice) / 2 of logits (B K *S) and masks (B *S).

    Source: docs/methods/common.md#losses, eq. 1.
    """
    return 0.5 * (known_cross_entropy(logits, masks) + dice_loss(logits.softmax(1), masks))


def task_loss(task: Task) -> Loss:
    """What a supervised step minimises: `segmentation_loss`, in classification cross-entropy."""
    return cross_entropy if task == "classification" else segmentation_loss


def spec_loss(spec: Spec) -> Loss:
    """The loss of the task; of a method that is trained on regions, `region_loss`."""
    if spec.regions:
        return partial(region_loss, regions=spec.regions)
    return task_loss(spec.task)


def region_maps(masks: torch.Tensor, regions: Sequence[Region]) -> torch.Tensor:
    """Where each region is (B R *S), true or false, of masks (B *S) of class numbers."""
    maps = []
    for region in regions:
        inside = masks == region.classes[0]
        for number in region.classes[1:]:
            inside = inside | (masks == number)
        maps.append(inside)
    return torch.stack(maps, 1)


def region_loss(
    logits: torch.Tensor, masks: torch.Tensor, regions: Sequence[Region]
) -> torch.Tensor:
    """(binary cross-entropy + Dice) / 2 of logits (B R *S) and masks (B *S), mean over regions.

    Source: docs/methods/common.md#regions, eq. 4.
    """
    truth = region_maps(masks, regions).to(logits.dtype)
    known = (masks >= 0)[:, None].to(logits.dtype)
    each = binary_cross_entropy_with_logits(logits, truth, reduction="none")
    entropy = (each * known).sum() / (known.sum() * len(regions)).clamp(min=1)
    return 0.5 * (entropy + _dice_of_maps(logits.sigmoid() * known, truth))


def as_probabilities(logits: torch.Tensor, spec: Spec) -> torch.Tensor:
    """Logits (B K *S) after a softmax over classes; those of regions (B R *S) after a sigmoid."""
    return logits.sigmoid() if spec.regions else logits.softmax(1)


def class_dice(probabilities: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Dice (K,) of each predicted class in a batch of probabilities (B K *S) and masks (B *S).

    A class that is neither present nor predicted has 1.
    """
    classes = probabilities.shape[1]
    axes = [0, *range(2, probabilities.ndim)]
    predicted = class_maps(probabilities.argmax(1), classes)
    truth = class_maps(masks, classes)
    overlap = (predicted & truth).sum(axes)
    total = predicted.sum(axes) + truth.sum(axes)
    ones = torch.ones_like(total, dtype=torch.float32)
    return torch.where(total > 0, 2 * overlap / total.clamp(min=1), ones)
