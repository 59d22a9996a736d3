"""Mixing, regions and region losses of SGRS-Net (dossier, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy, one_hot


@dataclass(frozen=True)
class Regions:
    """Masks (B *S): A, then A' and D', which leave out U."""

    agree: torch.Tensor  # A: both views predict one class, sure or not
    agree_sure: torch.Tensor  # A' = A minus U
    differ_sure: torch.Tensor  # D': the views predict different classes and both are sure


def noisy(images: torch.Tensor, noise: float) -> torch.Tensor:
    """x~ = x + clip(noise N(0, 1), +-2 noise)."""
    return images + (noise * torch.randn_like(images)).clamp(-2 * noise, 2 * noise)


def mix(unlabelled: torch.Tensor, labelled: torch.Tensor, parameter: float) -> torch.Tensor:
    """MA: x_m = lambda x~_u + (1 - lambda) x~_l of a shuffled partner, lambda ~ Beta, at least 1/2."""
    share = float(torch.distributions.Beta(parameter, parameter).sample())
    share = max(share, 1 - share)
    partners = torch.randperm(len(labelled))[torch.arange(len(unlabelled)) % len(labelled)]
    return share * unlabelled + (1 - share) * labelled[partners.to(labelled.device)]


@torch.no_grad()
def regions(clean: torch.Tensor, mixed: torch.Tensor, tau: float) -> Regions:
    """SE: where the views' probabilities (B K *S) agree, differ, or leave one unsure: no class above 1 - tau.

    With two classes that is tau < p0 < 1 - tau, as released; with more it is an extension.
    """
    (top, first), (other_top, second) = clean.max(1), mixed.max(1)
    sure = (top >= 1 - tau) & (other_top >= 1 - tau)
    agree = first == second
    return Regions(agree, agree & sure, ~agree & sure)


def everywhere(pseudo: torch.Tensor) -> Regions:
    """One region for all pixels of pseudo labels (B *S): agreement."""
    whole = torch.ones_like(pseudo, dtype=torch.bool)
    return Regions(whole, whole, ~whole)


def region_cross_entropy(
    logits: torch.Tensor,
    pseudo: torch.Tensor,
    found: Regions,
    smoothing: float,
    across_samples: bool,
) -> torch.Tensor:
    """CE_v = mean(CE A + CE_ls D'): unsure pixels count where the views agree, not where they differ.

    `across_samples`: the released code broadcasts D' so that each sample's CE_ls meets every sample's D' (section 3).
    """
    hard = cross_entropy(logits, pseudo, reduction="none")
    soft = cross_entropy(logits, pseudo, reduction="none", label_smoothing=smoothing)
    differ = found.differ_sure.to(hard.dtype)
    if across_samples:
        return (hard * found.agree).mean() + (soft.mean(0) * differ.mean(0)).mean()
    return (hard * found.agree + soft * differ).mean()


def region_dice(
    p: torch.Tensor, pseudo: torch.Tensor, region: torch.Tensor, smoothing: float
) -> torch.Tensor:
    """SD_s: 1 - mean over samples and classes of (2TP + s) / (2TP + FP + FN + s) inside a region (B *S).

    A large s lets a small region of doubtful labels weigh little; an empty region costs nothing.
    """
    inside = region[:, None].to(p.dtype)
    truth, guess = one_hot(pseudo, p.shape[1]).movedim(-1, 1) * inside, p * inside
    axes = tuple(range(2, p.ndim))
    both, total = (guess * truth).sum(axes), guess.sum(axes) + truth.sum(axes)
    return 1 - ((2 * both + smoothing) / (total + smoothing + 1e-8)).mean()


def half_dice_loss(p: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """The released Dice of labelled images: class mean of 1 - I / (P2 + Y2), which lacks its 2: best is 0.5."""
    truth = one_hot(masks, p.shape[1]).movedim(-1, 1).to(p.dtype)
    axes = [0, *range(2, p.ndim)]
    return (1 - (p * truth).sum(axes) / ((p**2).sum(axes) + (truth**2).sum(axes) + 1e-10)).mean()
