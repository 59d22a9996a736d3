"""The t-vMF Dice loss of the segmenter (dossier, section 2b)."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize, one_hot


def t_vmf_dice_loss(
    probabilities: torch.Tensor, masks: torch.Tensor, kappa: torch.Tensor
) -> torch.Tensor:
    """(1 - phi)^2, mean over classes, of maps (B K *S) and masks (B *S); kappa (K,) is the concentration.

    phi = (1 + c) / (1 + kappa (1 - c)) - 1 for the cosine c of map and truth over all pixels of the batch.
    """
    truth = one_hot(masks, probabilities.shape[1]).movedim(-1, 0).flatten(1).to(probabilities.dtype)
    cosine = (normalize(probabilities.movedim(1, 0).flatten(1)) * normalize(truth)).sum(1)
    similarity = (1 + cosine) / (1 + kappa * (1 - cosine)) - 1
    return (1 - similarity).square().mean()


def adaptive_kappa(dice: torch.Tensor, scale: float = 32.0) -> torch.Tensor:
    """kappa (K,) for the next epoch from the validation Dice (K,) of the last; start from zeros."""
    return scale * dice
