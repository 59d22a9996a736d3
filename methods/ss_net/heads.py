"""Heads on the features, the memory of each class, and the separation term (dossier, sections 2 and 3)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import normalize

WIDTH = 32  # of projected features

Memory = dict[int, torch.Tensor]  # foreground class -> features (n 32)


class Heads(nn.Module):
    """Projection and prediction of every pixel, and two selectors a class: for live features and for the memory."""

    def __init__(self, depth: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.projection = _mlp(depth, nn.ReLU(), WIDTH)
        self.prediction = _mlp(WIDTH, nn.ReLU(), WIDTH)
        # The released code has selectors of the background too; they are never used but count as parameters.
        self.selectors = nn.ModuleList(_mlp(WIDTH, nn.LeakyReLU(0.2), 1) for _ in range(classes))
        self.memory_selectors = nn.ModuleList(
            _mlp(WIDTH, nn.LeakyReLU(0.2), 1) for _ in range(classes)
        )

    @torch.no_grad()
    def remember(
        self,
        features: torch.Tensor,
        predicted: torch.Tensor,
        masks: torch.Tensor,
        size: int,
        rule: str,
    ) -> Memory:
        """A fresh memory: the `size` lowest or highest scores a class among correct foreground pixels of (B D *S)."""
        self.eval()
        correct = (predicted == masks) & (masks > 0)
        projected, labels = self.projection(rows(features)[correct.flatten()]), masks[correct]
        memory = {}
        for label in range(1, self.classes):
            found = projected[labels == label]
            if len(found) > size:
                found = found[
                    self.selectors[label](found)[:, 0]
                    .topk(size, largest=rule == "described")
                    .indices
                ]
            memory[label] = found
        self.train()
        return memory

    def separation(
        self, features: torch.Tensor, labels: torch.Tensor, memory: Memory
    ) -> torch.Tensor:
        """L_cl: sum over the classes that have live and stored features, over all C; features (B D *S)."""
        live, flat = self.prediction(self.projection(rows(features))), labels.flatten()
        total = live.new_zeros(())
        for label, stored in memory.items():
            found = live[flat == label]
            if len(found) > 1 and len(stored) > 1:
                total = total + self.class_distance(found, stored, label)
        return total / self.classes

    def class_distance(self, live: torch.Tensor, stored: torch.Tensor, label: int) -> torch.Tensor:
        """mean_ij a_i b_j (1 - cos_ij) of live (m 32) and stored (n 32) features."""
        directions, stored = normalize(live), normalize(stored)
        a = mean_one(self.selectors[label](live.detach()))
        b = mean_one(self.memory_selectors[label](stored))
        # a and b have mean 1, so the mean over all pairs is 1 minus the product of two weighted means.
        return 1 - (a * directions).mean(0) @ (b * stored).mean(0)


def rows(features: torch.Tensor) -> torch.Tensor:
    """Features of pixels (N D) of a map (B D *S)."""
    return features.movedim(1, -1).flatten(0, -2)


def mean_one(scores: torch.Tensor) -> torch.Tensor:
    """Weights sigmoid(scores), rescaled to mean 1 over the rows (m 1)."""
    weights = scores.sigmoid()
    return weights / weights.mean()


def _mlp(inputs: int, activation: nn.Module, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, WIDTH), nn.BatchNorm1d(WIDTH), activation, nn.Linear(WIDTH, outputs)
    )
