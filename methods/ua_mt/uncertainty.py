"""How uncertain a teacher is, and consistency where it is certain (docs/methods/ua_mt.md)."""

from __future__ import annotations

import math

import torch
from torch import nn

from bench.api import Run
from methods.schedules import sigmoid_ramp
from methods.training import autocast
from methods.views import add_noise

COPIES = 2  # of the batch in one pass of the teacher


@torch.no_grad()
def mean_prediction(
    teacher: nn.Module, images: torch.Tensor, noise: float, passes: int, run: Run
) -> torch.Tensor:
    """Mean probabilities (B K *S) of a teacher on images (B C *S) under fresh noise in each pass.

    Two passes are made at once, so that batch statistics are those of two copies of the batch.
    """
    copies = torch.cat([images] * COPIES)
    total: torch.Tensor | None = None
    for _ in range(passes // COPIES):
        with autocast(run):
            logits = teacher(add_noise(copies, noise))
        p = logits.float().softmax(1).unflatten(0, (COPIES, len(images))).sum(0)
        total = p if total is None else total + p
    assert total is not None
    return total / passes


def entropy(p: torch.Tensor) -> torch.Tensor:
    """H = -sum_c p_c ln(p_c + 1e-6) in nats (B *S) of probabilities (B K *S), eq. 2."""
    return -(p * (p + 1e-6).log()).sum(1)


def threshold(progress: float, steps: int, first: float, largest: float) -> float:
    """The entropy below which the teacher is followed at t/T, eq. 3, for a run of `steps`."""
    return (first + (1 - first) * sigmoid_ramp(progress, 1.0, steps)) * largest


def certain_consistency(
    p: torch.Tensor, target: torch.Tensor, certain: torch.Tensor, classes: int
) -> torch.Tensor:
    """Squared difference of two maps (B K *S) where `certain` (B *S), over `classes` pixels, eq. 4.

    With the true number of classes it is the mean over certain pixels and classes.
    """
    differences = ((p - target) ** 2).sum(1)
    return (differences * certain).sum() / (classes * certain.sum() + 1e-16)


def largest_entropy(classes: int) -> float:
    """ln K: the entropy of K equal probabilities."""
    return math.log(classes)
