"""Distances between probability maps and the smoothness term (dossier, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.functional import normalize

Predict = Callable[[torch.Tensor], torch.Tensor]  # images (B C *S) -> probabilities (B K *S)
Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of two maps (B K *S)


def dice_distance_2d(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """1 - Dice with squared denominators, mean over classes, of maps (B K *S); zero where p = q."""
    axes = [0, *range(2, p.ndim)]
    overlap, total = (p * q).sum(axes), (p**2).sum(axes) + (q**2).sum(axes)
    return (1 - (2 * overlap + 1e-10) / (total + 1e-10)).mean()


def dice_distance_3d(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """1 - Dice without squares over all channels at once; soft maps are not at distance 0 from themselves."""
    return 1 - (2 * (p * q).sum() + 1e-8) / (p.sum() + q.sum() + 1e-8)


def adversarial_perturbation(
    predict: Predict,
    distance: Distance,
    images: torch.Tensor,
    target: torch.Tensor,
    xi: float,
    norm: float,
    iterations: int = 1,
) -> torch.Tensor:
    """r_adv (B C *S) of L2 norm `norm` per sample: power iterations from a random direction, probed at xi."""
    direction = unit(torch.rand_like(images) - 0.5)
    for _ in range(iterations):
        direction.requires_grad_()
        apart = distance(predict(images + xi * direction), target)
        # Asked for the direction alone, autograd computes no gradient of the weights and leaves theirs as they are.
        (slope,) = torch.autograd.grad(apart, direction)
        direction = unit(slope)
    return norm * direction


def smoothness_loss(
    predict: Predict,
    distance: Distance,
    images: torch.Tensor,
    target: torch.Tensor,
    xi: float,
    norm: float,
    iterations: int = 1,
) -> torch.Tensor:
    """D(f(x + r_adv), q): the gradient flows through the perturbed pass alone, never into the target q."""
    target = target.detach()
    perturbation = adversarial_perturbation(predict, distance, images, target, xi, norm, iterations)
    return distance(predict(images + perturbation), target)


def unit(samples: torch.Tensor) -> torch.Tensor:
    """Each sample of (B C *S) at L2 norm 1; a sample of zeros stays zero."""
    return normalize(samples.flatten(1)).view_as(samples)


@contextmanager
def side_passes(network: nn.Module, seed: int, device: torch.device) -> Iterator[None]:
    """Passes inside leave the running statistics of the network and the random stream of other passes alone."""
    layers = [
        layer for layer in network.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    ]
    tracking = [layer.track_running_stats for layer in layers]
    try:
        for layer in layers:
            layer.track_running_stats = False
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield
    finally:
        for layer, before in zip(layers, tracking, strict=True):
            layer.track_running_stats = before
