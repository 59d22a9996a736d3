"""A method that learns one threshold: fast enough to test everything around it."""

import torch
from pydantic import BaseModel, ConfigDict

from bench.api import Run, Spec, TrainView


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    fault: str = "none"


class Threshold:
    """Foreground where the mean of the channels is above the middle of the two class means."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.level = torch.zeros(1)

    def fit(self, view: TrainView, run: Run) -> None:
        inside = torch.cat([torch.from_numpy(c.image)[:, c.mask > 0].flatten() for c in view.fit])
        outside = torch.cat([torch.from_numpy(c.image)[:, c.mask == 0].flatten() for c in view.fit])
        self.level = (inside.mean() + outside.mean()).reshape(1) / 2
        run.log(0, level=self.level.item())
        run.progress(run.steps)

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        foreground = (images.mean(1) > self.level).float()
        return torch.stack([1 - foreground, foreground], 1)

    def state(self) -> dict[str, torch.Tensor]:
        return {"level": self.level}

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        self.level = state["level"]


METHOD = Threshold
CARD = {
    "summary": "One learned threshold.",
    "requires": {"ndim": [2], "classes": 2},
    "precisions": ["float32", "bfloat16"],
}
