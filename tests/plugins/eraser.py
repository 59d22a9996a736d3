"""Removes bright squares from images, as it knows how they are made; segments by a threshold."""

from collections.abc import Iterator

import torch
from pydantic import BaseModel, ConfigDict

from bench.api import Run, Spec, TrainView


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    mode: str = "erase"


class Eraser:
    """`normalise` sets bright pixels to the median; `segment_augmented` does as `segment` does."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.level = torch.zeros(1)

    def fit(self, view: TrainView, run: Run) -> None:
        inside = torch.cat([torch.from_numpy(c.image)[:, c.mask > 0].flatten() for c in view.fit])
        outside = torch.cat([torch.from_numpy(c.image)[:, c.mask == 0].flatten() for c in view.fit])
        self.level = (inside.mean() + outside.mean()).reshape(1) / 2
        run.progress(run.steps)

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        foreground = (images.mean(1) > self.level).float()
        return torch.stack([1 - foreground, foreground], 1)

    def segment_augmented(self, images: torch.Tensor) -> torch.Tensor:
        return self.segment(images)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        if self.config.mode == "identity":
            return images
        if self.config.mode == "8 bits":
            return 255 * images
        middle = images.flatten(1).median(1).values.view(-1, 1, 1, 1)
        return torch.where(images > self.level, middle, images)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return torch.stack([images.mean((1, 2, 3)), images.amax((1, 2, 3))], 1)

    def synthesise(self, n: int, seed: int) -> Iterator[None]:
        raise AssertionError("a normaliser is not asked for samples")

    def state(self) -> dict[str, torch.Tensor]:
        return {"level": self.level}

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        self.level = state["level"]


METHOD = Eraser
CARD = {
    "summary": "Erases bright squares.",
    "role": "normaliser",
    "requires": {"ndim": [2], "classes": 2},
}
