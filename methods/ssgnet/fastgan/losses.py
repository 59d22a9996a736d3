"""Losses of FastGAN (docs/methods/ssgnet.md#fastgan, eq. 7 and 8; Liu et al. 2021)."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d, l1_loss, relu

from methods.ssgnet.fastgan.discriminator import cut_quarter

MARGIN = 0.8  # of the hinge, at least
MARGIN_NOISE = 0.2  # what it is at most above that


def discriminator_loss(
    real: torch.Tensor, fake: torch.Tensor, random: torch.Generator
) -> torch.Tensor:
    """Hinge loss of logits (B P) of real and fake pictures; each logit has a margin of its own."""
    loss_of_real = relu(_margins(real, random) - real).mean()
    return loss_of_real + relu(_margins(fake, random) + fake).mean()


def generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """Minus the mean logit of fake pictures (B P)."""
    return -fake.mean()


def reconstruction_loss(
    pictures: torch.Tensor, whole: torch.Tensor, part: torch.Tensor, quarter: int
) -> torch.Tensor:
    """L1 distance of pictures (B C R R), halved, and of one quarter to what decoders drew."""
    halved = avg_pool2d(pictures, 2)
    return l1_loss(whole, halved) + l1_loss(part, cut_quarter(pictures, quarter))


def _margins(logits: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    noise = torch.rand(logits.shape, generator=random, device=random.device)
    return MARGIN + MARGIN_NOISE * noise
