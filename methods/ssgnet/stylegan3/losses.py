"""Losses of StyleGAN3 (docs/methods/ssgnet.md#generator-losses)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import softplus


def generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """Mean of -log sigmoid D(G(z)), the non-saturating loss, of logits (B,).

    Source: docs/methods/ssgnet.md#generator-losses, eq. 3.
    """
    return softplus(-fake).mean()


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Mean of -log sigmoid D(x) plus mean of -log(1 - sigmoid D(G(z))), of logits (B,).

    Source: docs/methods/ssgnet.md#generator-losses, eq. 3.
    """
    return softplus(-real).mean() + softplus(fake).mean()


def gradient_penalty(
    discriminate: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, gamma: float
) -> torch.Tensor:
    """R1: gamma / 2 times the mean squared norm of dD/dx at the images (B C H W).

    Source: docs/methods/ssgnet.md#generator-losses, eq. 4.
    """
    images = images.detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminate(images).sum(), images, create_graph=True)
    return gamma / 2 * slope.square().sum((1, 2, 3)).mean()
