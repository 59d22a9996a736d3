"""Distances of probability maps and the smoothness term (docs/methods/ss_net.md#smoothness)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.functional import normalize

Predict = Callable[[torch.Tensor], torch.Tensor]  # images (B C *S) -> probabilities (B K *S)
Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of two maps (B K *S)


def dice_distance_2d(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """1 - Dice with squared denominators, averaged over classes, of maps (B K *S).

    It is zero where p = q.
    """
    axes = [0, *range(2, p.ndim)]
    overlap = (p * q).sum(axes)
    total = (p**2).sum(axes) + (q**2).sum(axes)
    return (1 - (2 * overlap + 1e-10) / (total + 1e-10)).mean()


def dice_distance_3d(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """1 - Dice without squares over all channels of maps (B K *S) at once.

    The distance of a soft map to itself is not zero, so that minimising it lowers the entropy.
    """
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
    """The perturbation (B C *S) of L2 norm `norm` in each sample that moves the prediction most.

    Power iterations from a random direction, probed at a distance of xi.
    """
    direction = to_unit_norm(torch.rand_like(images) - 0.5)
    for _ in range(iterations):
        direction.requires_grad_()
        moved = distance(predict(images + xi * direction), target)
        # Asked for the direction alone, autograd leaves the gradients of the weights as they are.
        (slope,) = torch.autograd.grad(moved, direction)
        direction = to_unit_norm(slope)
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
    """D(f(x + r), q), eq. 3, of images (B C *S) and target probabilities q (B K *S).

    The gradient flows through the perturbed pass alone, never into the target.
    """
    target = target.detach()
    perturbation = adversarial_perturbation(predict, distance, images, target, xi, norm, iterations)
    return distance(predict(images + perturbation), target)


def to_unit_norm(samples: torch.Tensor) -> torch.Tensor:
    """Each sample of (B C *S) scaled to L2 norm 1; a sample of zeros stays zero."""
    return normalize(samples.flatten(1)).view_as(samples)


@contextmanager
def side_passes(network: nn.Module, seed: int, device: torch.device) -> Iterator[None]:
    """Forward passes inside leave no trace.

    They change neither the running statistics of the network nor the random stream outside.
    """
    layers: list[nn.modules.batchnorm._BatchNorm] = []
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layers.append(layer)
    tracking = [layer.track_running_stats for layer in layers]
    devices = [device] if device.type == "cuda" else []
    try:
        for layer in layers:
            layer.track_running_stats = False
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield
    finally:
        for layer, before in zip(layers, tracking, strict=True):
            layer.track_running_stats = before
