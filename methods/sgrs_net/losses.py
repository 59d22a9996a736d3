"""Mixing, regions and region losses of SGRS-Net; equations are those of docs/methods/sgrs_net.md.

Sources: docs/methods/sgrs_net.md#mixing, docs/methods/sgrs_net.md#regions and
docs/methods/sgrs_net.md#region-losses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from methods.losses import class_maps, without_ignored


@dataclass(frozen=True)
class Regions:
    """Masks (B *S): A, then A' and D', which leave out U."""

    agree: torch.Tensor  # A: both views predict the same class, sure or not
    agree_sure: torch.Tensor  # A' = A without U
    differ_sure: torch.Tensor  # D': the views predict different classes and both are sure


def mix_images(unlabelled: torch.Tensor, labelled: torch.Tensor, parameter: float) -> torch.Tensor:
    """Step MA: x_m = lambda u~ + (1 - lambda) x~ with shuffled labelled partners, eq. 3.

    lambda ~ Beta(parameter, parameter) for each unlabelled image, replaced by 1 - lambda where it
    is below 1/2.
    """
    drawn = torch.distributions.Beta(parameter, parameter).sample((len(unlabelled),))
    shares = torch.maximum(drawn, 1 - drawn).to(unlabelled)
    shares = shares.view(-1, *[1] * (unlabelled.ndim - 1))
    partners = torch.randperm(len(labelled))[torch.arange(len(unlabelled)) % len(labelled)]
    return shares * unlabelled + (1 - shares) * labelled[partners.to(labelled.device)]


@torch.no_grad()
def find_regions(clean: torch.Tensor, mixed: torch.Tensor, tau: float) -> Regions:
    """Step SE: where the probabilities (B K *S) of two views agree, differ or leave one unsure.

    A view is unsure where no class reaches 1 - tau. With two classes that is tau < p0 < 1 - tau, as
    released; with more it is an extension.
    """
    clean_top, clean_class = clean.max(1)
    mixed_top, mixed_class = mixed.max(1)
    sure = (clean_top >= 1 - tau) & (mixed_top >= 1 - tau)
    agree = clean_class == mixed_class
    return Regions(agree, agree & sure, ~agree & sure)


def whole_region(pseudo: torch.Tensor) -> Regions:
    """Sure agreement in all pixels of pseudo labels (B *S)."""
    whole = torch.ones_like(pseudo, dtype=torch.bool)
    return Regions(whole, whole, ~whole)


def region_cross_entropy(
    logits: torch.Tensor,
    pseudo: torch.Tensor,
    regions: Regions,
    smoothing: float,
    across_samples: bool,
) -> torch.Tensor:
    """CE_v = mean(CE A + CE_ls D'), eq. 4, of logits (B K *S) and pseudo labels (B *S).

    Unsure pixels count where the views agree, not where they differ. `across_samples`: the
    released code broadcasts D' so that the CE_ls of each sample meets the D' of every sample
    (docs/methods/sgrs_net.md#defects-of-the-released-code).
    """
    hard = cross_entropy(logits, pseudo, reduction="none")
    soft = cross_entropy(logits, pseudo, reduction="none", label_smoothing=smoothing)
    differ = regions.differ_sure.to(hard.dtype)
    if across_samples:
        return (hard * regions.agree).mean() + (soft.mean(0) * differ.mean(0)).mean()
    return (hard * regions.agree + soft * differ).mean()


def region_dice(
    p: torch.Tensor, pseudo: torch.Tensor, region: torch.Tensor, smoothing: float
) -> torch.Tensor:
    """SD_s = 1 - mean of (2TP + s) / (2TP + FP + FN + s) inside a region (B *S), eq. 5.

    The mean is over samples and classes. With a large s a small region of doubtful labels weighs
    little; an empty region costs nothing.
    """
    inside = region[:, None].to(p.dtype)
    truth = class_maps(pseudo, p.shape[1]) * inside
    predicted = p * inside
    axes = tuple(range(2, p.ndim))
    overlap = (predicted * truth).sum(axes)
    total = predicted.sum(axes) + truth.sum(axes)
    return 1 - ((2 * overlap + smoothing) / (total + smoothing + 1e-8)).mean()


def half_dice_loss(p: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """The released Dice of labelled images, which lacks its factor 2 and is 0.5 at best, eq. 2.

    Class mean of 1 - I / (P2 + Y2) of probabilities (B K *S) and masks (B *S).
    """
    truth = class_maps(masks, p.shape[1]).to(p.dtype)
    p = without_ignored(p, masks)
    axes = [0, *range(2, p.ndim)]
    overlap = (p * truth).sum(axes)
    total = (p**2).sum(axes) + truth.sum(axes)  # ones and zeros are their squares
    return (1 - overlap / (total + 1e-10)).mean()
