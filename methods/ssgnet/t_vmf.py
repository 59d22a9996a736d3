"""The t-vMF Dice loss of the segmenter (docs/methods/ssgnet.md#t-vmf-dice, Kato and Hotta 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.functional import normalize

from methods.training import class_dice, class_maps

CONCENTRATION = 32.0  # kappa where it is fixed, and its largest value where it is not


class TvmfDiceLoss:
    """The t-vMF Dice loss of logits; kappa is fixed or follows the Dice of each class.

    Adaptive concentrations start at zero and change every `epoch` steps. They follow the Dice of
    the current batch, since a budget has no validation images (docs/methods/ssgnet.md#deviations).
    """

    def __init__(self, classes: int, epoch: int, adaptive: bool, device: torch.device) -> None:
        self.epoch = epoch
        self.adaptive = adaptive
        start = 0.0 if adaptive else CONCENTRATION
        self.kappa = torch.full((classes,), start, device=device)
        self.steps = 0

    def __call__(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """The loss of logits (B K *S) and masks (B *S)."""
        probabilities = logits.float().softmax(1)
        self.steps += 1
        if self.adaptive and self.steps % self.epoch == 0:
            self.kappa = adaptive_kappa(class_dice(probabilities.detach(), masks))
        return t_vmf_dice_loss(probabilities, masks, self.kappa)

    def state_dict(self) -> dict[str, Any]:
        """What changes from step to step."""
        return {"kappa": self.kappa, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with concentrations and steps of an earlier launch."""
        self.kappa = state["kappa"].to(self.kappa.device)
        self.steps = state["steps"]


def t_vmf_dice_loss(
    probabilities: torch.Tensor, masks: torch.Tensor, kappa: torch.Tensor
) -> torch.Tensor:
    """(1 - phi)^2, mean over classes, of maps (B K *S) and masks (B *S); kappa is (K,).

    phi = (1 + c) / (1 + kappa (1 - c)) - 1 for the cosine c of map and mask over all pixels of the
    batch. Source: docs/methods/ssgnet.md#t-vmf-dice, eq. 6.
    """
    maps = class_maps(masks, probabilities.shape[1])
    truth = maps.movedim(1, 0).flatten(1).to(probabilities.dtype)
    cosine = (normalize(probabilities.movedim(1, 0).flatten(1)) * normalize(truth)).sum(1)
    similarity = (1 + cosine) / (1 + kappa * (1 - cosine)) - 1
    return (1 - similarity).square().mean()


def adaptive_kappa(dice: torch.Tensor, scale: float = CONCENTRATION) -> torch.Tensor:
    """kappa (K,) for the next epoch from the Dice (K,) of each class."""
    return scale * dice
