"""Terms of the adversarial training (docs/methods/smile.md#objective).

Each gives one value for each image (B,); `Target.mean` weighs them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from methods.losses import class_maps
from methods.smile.networks import body_mask


@dataclass(frozen=True)
class Target:
    """The lesions of a batch: masks where there are some, pseudo-masks elsewhere."""

    classes: torch.Tensor  # B H W int64
    maps: torch.Tensor  # B K-1 H W: probability of each foreground class, as R is given it
    sure: torch.Tensor  # B 1 H W: 1 where the gate is open, and everywhere in labelled images
    weight: torch.Tensor  # B: share of each image in a loss

    @property
    def lesion(self) -> torch.Tensor:
        """m (B 1 H W), 1 in any lesion."""
        return (self.classes > 0).float().unsqueeze(1)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Mean over labelled images plus u(t) times the mean over the others, of values (B,)."""
        return (self.weight * values).sum()


def make_target(masks: torch.Tensor, pseudo: torch.Tensor, gate: float, u: float) -> Target:
    """The target of masks (L H W) and of probabilities (U K H W) of the images without one.

    u is the weight of these images. Source: docs/methods/smile.md#pseudo-masks.
    """
    known = class_maps(masks, pseudo.shape[1]).float()
    sure = (pseudo.amax(1, keepdim=True) > gate).float()
    shares = [1 / len(masks)] * len(masks) + [u / max(1, len(pseudo))] * len(pseudo)
    return Target(
        classes=torch.cat([masks, pseudo.argmax(1)]),
        maps=torch.cat([known, pseudo])[:, 1:],
        sure=torch.cat([torch.ones_like(known[:, :1]), sure]),
        weight=torch.tensor(shares, device=masks.device),
    )


def lesion_contrast(images: torch.Tensor, maps: torch.Tensor, background: float) -> torch.Tensor:
    """Mean colour of each lesion class minus that of normal tissue (B K-1 C).

    From maps (B K-1 H W); zero for classes that do not occur.
    """
    normal = (1 - maps.sum(1, keepdim=True)).clamp(min=0) * body_mask(images, background)
    weights = torch.cat([normal, maps], 1)
    sums = torch.einsum("bkhw,bchw->bkc", weights, images)
    colours = sums / weights.sum((2, 3)).clamp(min=1e-6)[..., None]
    return (colours[:, 1:] - colours[:, :1]) * (maps.sum((2, 3)) > 0)[..., None]


def encode_lesions(maps: torch.Tensor, contrast: torch.Tensor | None) -> torch.Tensor:
    """What R is given: a map of each class (B K-1 H W) and, if known, its contrast (B K-1 C).

    The contrast is spread over the map, so that the result is (B K-1 H W) or (B (K-1)(1+C) H W).
    """
    if contrast is None:
        return maps
    return torch.cat([maps, (maps[:, :, None] * contrast[..., None, None]).flatten(1, 2)], 1)


def unlabelled_weight(progress: float, end: float) -> float:
    """u(t) = exp(-5 (1 - t / t_r)^2), and 1 from t_r on (docs/methods/smile.md#schedules)."""
    return 1.0 if progress >= end else math.exp(-5 * (1 - progress / end) ** 2)


def health_term(logits: torch.Tensor) -> torch.Tensor:
    """a1: cross-entropy of S(G(x)), logits (B K H W), with "no lesion anywhere".

    Source of a1 to a5: docs/methods/smile.md#objective, eq. 1.
    """
    return -logits.log_softmax(1)[:, 0].mean((1, 2))


def keep_term(images: torch.Tensor, fake: torch.Tensor, target: Target) -> torch.Tensor:
    """a2: mean (G - x)^2 (1 - m), where the gate is open."""
    return ((fake - images) ** 2 * (1 - target.lesion) * target.sure).mean((1, 2, 3))


def fill_term(
    images: torch.Tensor, fake: torch.Tensor, target: Target, mean_of: str, background: float
) -> torch.Tensor:
    """a3: mean (G - mu)^2 m, where the gate is open.

    mu is the mean colour of normal tissue in the image or in the batch.
    """
    normal = (1 - target.lesion) * body_mask(images, background)
    axes = (2, 3) if mean_of == "image" else (0, 2, 3)
    mu = (images * normal).sum(axes, keepdim=True) / normal.sum(axes, keepdim=True).clamp(min=1)
    return ((fake - mu) ** 2 * target.lesion * target.sure).mean((1, 2, 3))


def reconstruction_term(images: torch.Tensor, rebuilt: torch.Tensor) -> torch.Tensor:
    """a5: mean |R(G(x), m) - x|."""
    return (rebuilt - images).abs().mean((1, 2, 3))


def unchanged_weight(images: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """w (B H W) = max(1 - |G - x| / its maximum over the image, 0.1).

    The lesion segmenter learns little where G succeeded. Source: docs/methods/smile.md#objective,
    eq. 2; 1e-8 avoids 0 / 0 where G changes nothing.
    """
    change = (fake - images).abs().mean(1)
    return (1 - change / (change.amax((1, 2), keepdim=True) + 1e-8)).clamp(min=0.1)


def suspicion_term(logits: torch.Tensor, weight: torch.Tensor, target: Target) -> torch.Tensor:
    """Mean of w CE(S(G(x)), m): the lesion segmenter looks for what is left of the lesion.

    Source: docs/methods/smile.md#objective, eq. 2.
    """
    entropy = cross_entropy(logits, target.classes, reduction="none")
    return (entropy * weight * target.sure[:, 0]).mean((1, 2))


def critic_loss(
    critic: nn.Module, real: torch.Tensor, fake: torch.Tensor, penalty: float
) -> torch.Tensor:
    """Wasserstein loss with gradient penalty, of normal images and as many G(x) (B C H W).

    Source: docs/methods/smile.md#objective.
    """
    share = torch.rand((len(real), 1, 1, 1), device=real.device)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    steepness = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    scores = critic(torch.cat([fake, real]))  # without norm layers each image is judged by itself
    distance: torch.Tensor = scores[: len(fake)].mean() - scores[len(fake) :].mean()
    return distance + penalty * steepness
