"""Supervised baseline: the suite's backbone, fitted to the labelled cases."""

from __future__ import annotations

from typing import Any

import torch

from bench.api import Run, Spec, TrainView
from methods.supervised.config import Config
from methods.training import probabilities, train_supervised


class Supervised:
    """Ignores unlabelled cases. The last iterate is the model."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.network: Any  # a network of methods.networks

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps of (cross-entropy + Dice) / 2 on `view.fit`, in classification of cross-entropy."""
        self.network = run.backbone()
        train_supervised(self.network, view.fit, run, self.config)

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K *S) of images (B C *S)."""
        return probabilities(self.network, images)

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K) of images (B C H W)."""
        return probabilities(self.network, images)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """The pooled bottleneck (B D) of images (B C *S), of a classifier what enters its last layer."""
        self.network.eval()
        return self.network.embed(images)  # type: ignore[no-any-return]

    def state(self) -> dict[str, torch.Tensor]:
        """The weights of the network."""
        return self.network.state_dict()  # type: ignore[no-any-return]

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        """Fill a fresh backbone."""
        self.network = run.backbone().to(run.device)
        self.network.load_state_dict(state)


METHOD = Supervised
