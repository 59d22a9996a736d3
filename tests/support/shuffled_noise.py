"""A generator that has learnt nothing: its images are noise, which no board may show as a help.

A plug-in for the gates of tests/test_demo.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.api import Case, Run, TrainView
from methods.config import TrainingConfig
from methods.training import BackboneMethod, train_supervised


def shuffle_pixels(cases: Sequence[Case], seed: int) -> list[Case]:
    """Each case once more: its pixels in another order, and its mask as it is."""
    random = np.random.default_rng(seed)
    shuffled = []
    for case in cases:
        flat = case.image.reshape(len(case.image), -1)
        image = random.permutation(flat, axis=1).reshape(case.image.shape)
        shuffled.append(replace(case, id=f"{case.id}_shuffled", image=image))
    return shuffled


class Config(TrainingConfig):
    """Nothing beyond what every learner has."""


class ShuffledNoise(BackboneMethod):
    """Supervised training on the labelled images and as many of shuffled pixels."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on the union."""
        self.network = run.backbone()
        union = [*view.fit, *shuffle_pixels(view.fit, run.seed("shuffled pixels"))]
        train_supervised(self.network, union, run, self.config)


METHOD = ShuffledNoise
CARD: dict[str, Any] = {
    "title": "Shuffled noise",
    "summary": "Trains on labelled images and on noise with their masks.",
}
