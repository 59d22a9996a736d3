"""A threshold that is shifted by a setting; one kind of it crashes, one needs three patients."""

from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from bench.api import Run, Spec, TrainView


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    shift: float = Field(default=0.2, ge=-1, le=1)
    kind: Literal["plain", "same", "crash", "greedy"] = "plain"


def space(trial: Any) -> Config:
    return Config(
        shift=trial.suggest_float("shift", -0.4, 0.4),
        kind=trial.suggest_categorical("kind", ["plain", "same"]),
    )


class Shifted:
    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.level = torch.zeros(1)

    def fit(self, view: TrainView, run: Run) -> None:
        if self.config.kind == "crash":
            raise RuntimeError("this kind crashes")
        if self.config.kind == "greedy" and len(view.fit) < 6:
            raise RuntimeError("three patients or none")
        inside = torch.cat([torch.from_numpy(c.image)[:, c.mask > 0].flatten() for c in view.fit])
        outside = torch.cat([torch.from_numpy(c.image)[:, c.mask == 0].flatten() for c in view.fit])
        self.level = (inside.mean() + outside.mean()).reshape(1) / 2 + self.config.shift
        run.progress(run.steps)

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        foreground = (images.mean(1) > self.level).float()
        return torch.stack([1 - foreground, foreground], 1)

    def state(self) -> dict[str, torch.Tensor]:
        return {"level": self.level}

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        self.level = state["level"]


METHOD = Shifted
CARD = {"summary": "A threshold with a shift.", "requires": {"ndim": [2], "classes": 2}}
