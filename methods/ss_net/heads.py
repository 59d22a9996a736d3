"""Heads on the features, the memory of each class, and the separation term of SS-Net.

Sources: docs/methods/ss_net.md#heads and docs/methods/ss_net.md#class-separation.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import normalize

WIDTH = 32  # of projected features

Memory = dict[int, torch.Tensor]  # foreground class -> features (N 32)


class Heads(nn.Module):
    """Projection and prediction of every pixel, and two selectors for each class.

    One selector scores live features, the other those in the memory.
    """

    def __init__(self, depth: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.projection = _mlp(depth, nn.ReLU(), WIDTH)
        self.prediction = _mlp(WIDTH, nn.ReLU(), WIDTH)
        # The released code also has selectors of the background; unused, they count as parameters.
        self.selectors = nn.ModuleList(_selector() for _ in range(classes))
        self.memory_selectors = nn.ModuleList(_selector() for _ in range(classes))

    @torch.no_grad()
    def remember(
        self,
        features: torch.Tensor,
        predicted: torch.Tensor,
        masks: torch.Tensor,
        size: int,
        rule: str,
    ) -> Memory:
        """A new memory of correctly classified foreground pixels, at most `size` of each class.

        Takes features (B D *S), predicted classes and masks (B *S). The rule "released" keeps the
        lowest scores of the class's selector, "described" the highest. As released, the projection
        is in evaluation mode, the selectors in training mode: their batch norm uses the statistics
        of the candidates (docs/methods/ss_net.md#class-separation).
        """
        correct = (predicted == masks) & (masks > 0)
        self.eval()
        projected = self.projection(feature_rows(features)[correct.flatten()])
        self.train()
        labels = masks[correct]
        memory: Memory = {}
        for label in range(1, self.classes):
            candidates = projected[labels == label]
            if len(candidates) > size:
                scores = self.selectors[label](candidates)[:, 0]
                candidates = candidates[scores.topk(size, largest=rule == "described").indices]
            memory[label] = candidates
        return memory

    def separation(
        self, features: torch.Tensor, labels: torch.Tensor, memory: Memory
    ) -> torch.Tensor:
        """L_cl of features (B D *S) with labels (B *S), eq. 4.

        A class needs two live and two stored features; the sum is divided by all classes.
        """
        predicted = self.prediction(self.projection(feature_rows(features)))
        flat_labels = labels.flatten()
        total = predicted.new_zeros(())
        for label, stored in memory.items():
            live = predicted[flat_labels == label]
            if len(live) > 1 and len(stored) > 1:
                total = total + self.class_distance(live, stored, label)
        return total / self.classes

    def class_distance(self, live: torch.Tensor, stored: torch.Tensor, label: int) -> torch.Tensor:
        """mean_ij a_i b_j (1 - cos_ij) of live (M 32) and stored (N 32) features, eq. 4."""
        directions = normalize(live)
        stored_directions = normalize(stored)
        a = weights_of_mean_one(self.selectors[label](live.detach()))
        b = weights_of_mean_one(self.memory_selectors[label](stored_directions))
        # As a and b have mean 1, the mean over all pairs is 1 minus a product of weighted means.
        return 1 - (a * directions).mean(0) @ (b * stored_directions).mean(0)


def feature_rows(features: torch.Tensor) -> torch.Tensor:
    """The features of all pixels (N D) of a map (B D *S)."""
    return features.movedim(1, -1).flatten(0, -2)


def weights_of_mean_one(scores: torch.Tensor) -> torch.Tensor:
    """sigmoid(scores), scaled to mean 1 over the rows (M 1)."""
    weights = scores.sigmoid()
    return weights / weights.mean()


def _selector() -> nn.Sequential:
    return _mlp(WIDTH, nn.LeakyReLU(0.2), 1)


def _mlp(inputs: int, activation: nn.Module, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, WIDTH), nn.BatchNorm1d(WIDTH), activation, nn.Linear(WIDTH, outputs)
    )
