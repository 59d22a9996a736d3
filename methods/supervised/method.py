"""The supervised baseline: the suite's backbone, fitted to the labelled cases alone."""

from __future__ import annotations

import torch

from bench.api import Run, TrainView
from methods.supervised.config import Config
from methods.training import BackboneMethod, train_supervised


class Supervised(BackboneMethod):
    """Ignores unlabelled cases; the network after the last step is the model."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps of (cross-entropy + Dice) / 2 on `view.fit`, in classification cross-entropy.

        Source: docs/methods/supervised.md#loss.
        """
        self.network = run.backbone()
        train_supervised(self.network, view.fit, run, self.config)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Features (B D) of images (B C *S): the deepest map, averaged over its pixels.

        Those of a classifier are what enters its last layer.
        """
        self.network.eval()
        features: torch.Tensor = self.network.embed(images)
        return features


METHOD = Supervised
