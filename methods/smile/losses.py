"""Terms of the game (dossier, section 3d). Each gives one value for each image (B,); `Target.mean` weighs them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from methods.smile.networks import body


@dataclass(frozen=True)
class Target:
    """What is held for true of the lesions of a batch: masks where there are some, pseudo-masks elsewhere."""

    classes: torch.Tensor  # B H W int64
    maps: (
        torch.Tensor
    )  # B K-1 H W: probability of each foreground class, out of which R is told of lesions
    sure: torch.Tensor  # B 1 H W: the gate c, 1 everywhere in labelled images
    weight: torch.Tensor  # B: share of each image in a loss

    @property
    def lesion(self) -> torch.Tensor:
        """m (B 1 H W), 1 in any lesion."""
        return (self.classes > 0).float().unsqueeze(1)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Mean over labelled images + u(t) mean over the others, of values (B,)."""
        return (self.weight * values).sum()


def target_of(masks: torch.Tensor, pseudo: torch.Tensor, gate: float, u: float) -> Target:
    """From masks (L H W) of the labelled images and probabilities (U K H W) of the others, weighed by u."""
    known = one_hot(masks, pseudo.shape[1]).movedim(-1, 1).float()
    sure = (pseudo.amax(1, keepdim=True) > gate).float()
    share = [1 / len(masks)] * len(masks) + [u / max(1, len(pseudo))] * len(pseudo)
    return Target(
        classes=torch.cat([masks, pseudo.argmax(1)]),
        maps=torch.cat([known, pseudo])[:, 1:],
        sure=torch.cat([torch.ones_like(known[:, :1]), sure]),
        weight=torch.tensor(share, device=masks.device),
    )


def contrast_of(images: torch.Tensor, maps: torch.Tensor, background: float) -> torch.Tensor:
    """Mean colour of each lesion class less that of normal tissue (B K-1 C), from maps (B K-1 H W); 0 where none is."""
    normal = (1 - maps.sum(1, keepdim=True)).clamp(min=0) * body(images, background)
    weights = torch.cat([normal, maps], 1)
    colours = (
        torch.einsum("bkhw,bchw->bkc", weights, images)
        / weights.sum((2, 3)).clamp(min=1e-6)[..., None]
    )
    return (colours[:, 1:] - colours[:, :1]) * (maps.sum((2, 3)) > 0)[..., None]


def code(maps: torch.Tensor, contrast: torch.Tensor | None) -> torch.Tensor:
    """What R is told of lesions: where each class is (B K-1 H W) and, if given, its contrast there (B K-1 C)."""
    if contrast is None:
        return maps
    return torch.cat([maps, (maps[:, :, None] * contrast[..., None, None]).flatten(1, 2)], 1)


def ramp(progress: float, end: float) -> float:
    """u(t) = exp(-5 (1 - t / t_r)^2), 1 from t_r on."""
    return 1.0 if progress >= end else math.exp(-5 * (1 - progress / end) ** 2)


def health(logits: torch.Tensor) -> torch.Tensor:
    """a1: cross-entropy of S(G(x)), logits (B K H W), with "no lesion anywhere"."""
    return -logits.log_softmax(1)[:, 0].mean((1, 2))


def keep(images: torch.Tensor, fake: torch.Tensor, target: Target) -> torch.Tensor:
    """a2: mean (G - x)^2 (1 - m)."""
    return ((fake - images) ** 2 * (1 - target.lesion) * target.sure).mean((1, 2, 3))


def fill(
    images: torch.Tensor, fake: torch.Tensor, target: Target, mean_of: str, background: float
) -> torch.Tensor:
    """a3: mean (G - mu)^2 m, mu the mean colour of normal tissue (1 - m) B in the image or in the batch."""
    normal, axes = (
        (1 - target.lesion) * body(images, background),
        (2, 3) if mean_of == "image" else (0, 2, 3),
    )
    mu = (images * normal).sum(axes, keepdim=True) / normal.sum(axes, keepdim=True).clamp(min=1)
    return ((fake - mu) ** 2 * target.lesion * target.sure).mean((1, 2, 3))


def reconstruction(images: torch.Tensor, rebuilt: torch.Tensor) -> torch.Tensor:
    """a5: mean |R(G(x), m) - x|."""
    return (rebuilt - images).abs().mean((1, 2, 3))


def unchanged(images: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """w (B H W) = max(1 - |G - x| / its maximum over the image, 0.1): the segmentor learns little where G succeeded."""
    change = (fake - images).abs().mean(1)
    return (1 - change / (change.amax((1, 2), keepdim=True) + 1e-8)).clamp(min=0.1)


def suspicion(logits: torch.Tensor, weight: torch.Tensor, target: Target) -> torch.Tensor:
    """Mean of w CE(S(G(x)), m): the segmentor looks for what is left of the lesion."""
    return (
        cross_entropy(logits, target.classes, reduction="none") * weight * target.sure[:, 0]
    ).mean((1, 2))


def critic_loss(
    critic: nn.Module, real: torch.Tensor, fake: torch.Tensor, penalty: float
) -> torch.Tensor:
    """Wasserstein distance with gradient penalty, of normal images and G(x), as many of each."""
    share = torch.rand((len(real), 1, 1, 1), device=real.device)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    too_steep = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    loss: torch.Tensor = critic(fake).mean() - critic(real).mean() + penalty * too_steep
    return loss
