"""Pseudo labels of UniMatch and how they are learnt (docs/methods/unimatch.md)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import dropout1d

from methods.masked_losses import masked_dice_loss
from methods.views import paste


@dataclass(frozen=True)
class PseudoLabels:
    """Classes (B *S) and the probabilities (B *S) with which they were predicted."""

    classes: torch.Tensor
    confidence: torch.Tensor

    def with_boxes(self, boxes: torch.Tensor, others: PseudoLabels) -> PseudoLabels:
        """These labels, inside of boxes (B *S) those of other images."""
        return PseudoLabels(
            paste(boxes, others.classes, self.classes),
            paste(boxes, others.confidence, self.confidence),
        )


def pseudo_labels(logits: torch.Tensor) -> PseudoLabels:
    """What logits (B K *S) predict; without gradient."""
    confidence, classes = logits.detach().softmax(1).max(1)
    return PseudoLabels(classes, confidence)


@torch.no_grad()
def predict_in_evaluation(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits (B K *S) in evaluation mode; the network is left in training mode."""
    network.eval()
    logits: torch.Tensor = network(images)
    network.train()
    return logits


def sure_dice_loss(logits: torch.Tensor, labels: PseudoLabels, confidence: float) -> torch.Tensor:
    """Dice of logits (B K *S) and pseudo labels over pixels of enough confidence, eq. 2."""
    sure = labels.confidence >= confidence
    return masked_dice_loss(logits.softmax(1), labels.classes, sure)


def drop_channels(levels: list[torch.Tensor], share: float) -> list[torch.Tensor]:
    """Encoder maps (B C *S) without a share of their channels, the rest scaled up."""
    dropped: list[torch.Tensor] = []
    for level in levels:
        rows = level.flatten(2)
        dropped.append(dropout1d(rows, share).view_as(level))
    return dropped
