"""A method that learns but cannot predict."""

import torch
from pydantic import BaseModel

from bench.api import Run, Spec, TrainView


class Config(BaseModel):
    pass


class Blind:
    def __init__(self, config: Config, spec: Spec) -> None:
        pass

    def fit(self, view: TrainView, run: Run) -> None:
        raise AssertionError("a method that cannot predict must not be trained")

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        pass


METHOD = Blind
CARD = {"summary": "Lacks segment."}
