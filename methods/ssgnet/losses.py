"""Losses of the generator's game (dossier, section 2a) and the t-vMF Dice loss of the segmenter (section 2b)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import normalize, one_hot, softplus


def generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """Mean of -log sigmoid D(G(z)) (non-saturating)."""
    return softplus(-fake).mean()


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Mean of -log sigmoid D(x) plus mean of -log(1 - sigmoid D(G(z)))."""
    return softplus(-real).mean() + softplus(fake).mean()


def gradient_penalty(
    judge: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, gamma: float
) -> torch.Tensor:
    """R1: gamma / 2 times the mean squared norm of dD/dx at the images (B C H W)."""
    images = images.detach().requires_grad_()
    (slope,) = torch.autograd.grad(judge(images).sum(), images, create_graph=True)
    return gamma / 2 * slope.square().sum((1, 2, 3)).mean()


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
