"""Settings of SS-Net: the released recipe for ACDC (docs/methods/ss_net.md#defaults)."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from methods.config import TrainingConfig, shared


class Config(TrainingConfig):
    """What SS-Net adds; shares of the run are the published iterations over 30,000."""

    unlabelled_batch_size: int = Field(default=12, ge=1)
    # steps: a tenth after every sixth of the run; poly: (1 - t/T)^0.9
    learning_rate_schedule: Literal["constant", "steps", "poly"] = "constant"
    # released: Dice alone; suite: (cross-entropy + Dice) / 2
    supervised_loss: Literal["released", "suite"] = "released"
    # Weight of smoothness and separation together, at the end of the ramp.
    weight: float = Field(default=0.1, ge=0)
    ramp_end: float = Field(default=1.0, gt=0, le=1)
    ramp_stairs: int = Field(default=200, ge=1)
    # The number of the first step in the ramp: the released code for LA counts from 1.
    ramp_first: Literal[0, 1] = 0

    smoothness: bool = True
    # L2 norm of the probe with which the adversarial direction is found.
    xi: float = Field(default=10, gt=0)
    # Norm of the perturbation per square root of the number of pixels: 6 at 256 x 256.
    eps: float = Field(default=6 / 256, gt=0)
    power_iterations: int = Field(default=1, ge=0)  # 0: a random direction

    separation: bool = True
    contrastive_weight: float = Field(default=0.1, ge=0)  # of separation relative to smoothness
    memory: int = Field(default=32, ge=2)  # features kept of each class
    # released: those with the lowest scores; described: with the highest
    memory_rule: Literal["released", "described"] = "released"


# The released recipe for LA: 15,000 steps on patches of 112 x 112 x 80.
DEFAULTS_3D: dict[str, Any] = {
    "learning_rate_schedule": "steps",
    "weight": 1.0,
    "ramp_end": 0.4,
    "ramp_stairs": 40,
    "ramp_first": 1,
    "eps": 10 / math.sqrt(112 * 112 * 80),
}
# In 3D a short run would learn in its first sixth alone: a tenth of the rate is left after that.
SHORT_FORM: dict[str, Any] = {"learning_rate_schedule": "poly"}


def space(trial: Any) -> Config:
    """What tuning may choose; the defaults lie inside."""
    return Config(
        **shared(trial),
        weight=trial.suggest_float("weight", 0.05, 2.0, log=True),
        ramp_end=trial.suggest_float("ramp_end", 0.05, 1.0),
        eps=trial.suggest_float("eps", 1 / 1024, 20 / 256, log=True),
        contrastive_weight=trial.suggest_float("contrastive_weight", 0.01, 0.5, log=True),
    )
