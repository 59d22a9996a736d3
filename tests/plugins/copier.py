"""A generator that returns its labelled images: copies, at distance 0 if it has all labels."""

from collections.abc import Iterator
from itertools import cycle, islice

import torch
from pydantic import BaseModel, ConfigDict

from bench.api import Case, Run, Spec, TrainView


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = "a"


class Copier:
    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.cases: list[Case] = []
        self.facts = {"sources": "its own"}

    def fit(self, view: TrainView, run: Run) -> None:
        self.cases = list(view.fit)

        def build(seed: int, saved: object) -> dict[str, torch.Tensor]:
            return {"seed": torch.tensor([seed % 1000])}

        self.part = run.part(
            "copier", {"name": self.config.name}, [case.id for case in view.fit[:2]], build
        )
        run.progress(run.steps)

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        return torch.full(
            (len(images), self.spec.classes, *images.shape[2:]), 1 / self.spec.classes
        )

    def synthesise(self, n: int, seed: int) -> Iterator[Case]:
        return islice(cycle(self.cases), n)

    def state(self) -> dict[str, torch.Tensor]:
        return self.part

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        self.part = state


METHOD = Copier
CARD = {
    "summary": "Copies.",
    "warning": "It copies.",
    "role": "generator",
    "requires": {"ndim": [2]},
}
