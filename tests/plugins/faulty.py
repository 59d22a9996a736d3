"""A method that fails in the way its config names."""

import ctypes
import os
import time
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict

from bench.api import Run, Spec, TrainView

Fault = Literal[
    "raise",
    "raise late",
    "crash",
    "hang",
    "nan loss",
    "nan probabilities",
    "out of memory",
    "wrong shape",
    "exit",
    "slow",
    "killed",
]


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    fault: Fault


class Faulty:
    def __init__(self, config: Config, spec: Spec) -> None:
        self.fault, self.spec = config.fault, spec

    def fit(self, view: TrainView, run: Run) -> None:
        if self.fault == "raise":
            raise RuntimeError("the plug-in\nis broken")
        if self.fault == "crash":
            ctypes.string_at(0)
        if self.fault == "killed":
            os.kill(os.getpid(), 9)
        if self.fault == "hang":
            time.sleep(600)
        if self.fault == "slow":
            for step in range(run.steps):
                run.progress(step)
                time.sleep(0.2)
        if self.fault == "exit":
            raise SystemExit(0)
        if self.fault == "out of memory":
            torch.empty(2**46)
        if self.fault == "nan loss":
            run.log(3, loss=float("nan"))

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        value = float("nan") if self.fault == "nan probabilities" else 0.5
        size = images.shape[2:] if self.fault != "wrong shape" else (4, 4)
        return torch.full((len(images), self.spec.classes, *size), value)

    def state(self) -> dict[str, torch.Tensor]:
        if self.fault == "raise late":
            raise RuntimeError("after the predictions were written")
        return {}

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        pass


METHOD = Faulty
CARD = {"summary": "Fails as told."}
