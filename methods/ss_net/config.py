"""Settings of SS-Net; defaults are the released recipe for ACDC (dossier, section 5)."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from methods.config import TrainingConfig, shared


class Config(TrainingConfig):
    """What SS-Net has beyond every learner; shares of the run are the published iterations over 30,000."""

    unlabelled_batch_size: int = Field(default=12, ge=1)
    learning_rate_schedule: Literal["constant", "steps", "poly"] = (
        "constant"  # a tenth each sixth; (1 - t/T)^0.9
    )
    supervised_loss: Literal["released", "suite"] = (
        "released"  # Dice alone, or (cross-entropy + Dice) / 2
    )
    weight: float = Field(default=0.1, ge=0)  # of both terms below, at the end of the ramp
    ramp_end: float = Field(default=1.0, gt=0, le=1)
    ramp_stairs: int = Field(default=200, ge=1)

    smoothness: bool = True
    xi: float = Field(default=10, gt=0)  # L2 norm of the probe that finds the adversarial direction
    eps: float = Field(
        default=6 / 256, gt=0
    )  # norm of the perturbation per root of the pixels: 6 at 256 x 256
    power_iterations: int = Field(default=1, ge=0)  # 0 is a random direction

    separation: bool = True
    contrastive_weight: float = Field(default=0.1, ge=0)  # of the separation beside the smoothness
    memory: int = Field(default=32, ge=2)  # features kept of each class
    memory_rule: Literal["released", "described"] = (
        "released"  # lowest scores as the code does, or highest
    )


# The released recipe for LA: 15,000 steps on patches of 112 x 112 x 80.
DEFAULTS_3D: dict[str, Any] = {
    "learning_rate_schedule": "steps",
    "weight": 1.0,
    "ramp_end": 0.4,
    "ramp_stairs": 40,
    "eps": 10 / math.sqrt(112 * 112 * 80),
}


def space(trial: Any) -> Config:
    """What tuning may choose; the defaults lie inside."""
    return Config(
        **shared(trial),
        weight=trial.suggest_float("weight", 0.05, 2.0, log=True),
        ramp_end=trial.suggest_float("ramp_end", 0.05, 1.0),
        eps=trial.suggest_float("eps", 1 / 1024, 20 / 256, log=True),
        contrastive_weight=trial.suggest_float("contrastive_weight", 0.01, 0.5, log=True),
    )
