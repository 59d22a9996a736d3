"""Settings of MC-Net+; their sources are in docs/methods/mc_net_plus.md#defaults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from methods.config import TrainingConfig, shared


class Config(TrainingConfig):
    """What MC-Net+ adds, with the recipe for ACDC; shares are iterations over 30,000."""

    unlabelled_batch_size: int = Field(default=12, ge=1)
    # steps: a tenth after every sixth of the run; poly: (1 - t/T)^0.9
    learning_rate_schedule: Literal["poly", "steps"] = "poly"
    # all: Dice of all classes; foreground: without background
    supervised_dice: Literal["all", "foreground"] = "all"
    supervised_weight: float = Field(default=1.0, gt=0)  # of the Dice of each decoder
    # Weight of the consistency term at the end of its ramp.
    consistency: float = Field(default=0.1, ge=0)
    ramp_end: float = Field(default=1.0, gt=0, le=1)
    ramp_stairs: int = Field(default=200, ge=1)
    temperature: float = Field(default=0.1, gt=0, le=1)  # of sharpening
    # released: each class on its own; normalised: classes sum to 1
    sharpening: Literal["released", "normalised"] = "released"


# The released recipe for LA: 15,000 steps on patches of 112 x 112 x 80.
DEFAULTS_3D: dict[str, Any] = {
    "learning_rate_schedule": "steps",
    "supervised_dice": "foreground",
    "supervised_weight": 0.5,
    "consistency": 1.0,
    "ramp_end": 0.4,
    "ramp_stairs": 40,
}
# In 3D a short run would learn in its first sixth alone: a tenth of the rate is left after that.
SHORT_FORM: dict[str, Any] = {"learning_rate_schedule": "poly"}


def space(trial: Any) -> Config:
    """What tuning may choose; the defaults lie inside."""
    return Config(
        **shared(trial),
        consistency=trial.suggest_float("consistency", 0.01, 2.0, log=True),
        ramp_end=trial.suggest_float("ramp_end", 0.1, 1.0),
        temperature=trial.suggest_float("temperature", 0.05, 1.0, log=True),
    )
