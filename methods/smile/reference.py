"""Reference points of pseudo-healthy images (docs/methods/smile.md#reference-points).

`Identity` leaves images as they are. With `Reference` alone a method makes none: scoring, where
test masks are open, inpaints the true lesions (bench/metrics/inpainting.py).
"""

from __future__ import annotations

import torch

from bench.api import Run, TrainView
from methods.smile.config import Config
from methods.training import BackboneMethod, train_supervised


class Reference(BackboneMethod):
    """The lesion segmenter after stage 1, which is supervised training."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on labels."""
        self.network = run.backbone()
        train_supervised(self.network, view.fit, run, self.config)


class Identity(Reference):
    """Leaves images as they are: healthiness 0, identity 1."""

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """The images (B C H W)."""
        return images
