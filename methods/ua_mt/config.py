"""Settings of UA-MT; their sources are in docs/methods/ua_mt.md#defaults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from methods.config import TrainingConfig, shared
from methods.schedules import LEAST_HALF_LIFE, LONGEST_HALF_LIFE


class Config(TrainingConfig):
    """What UA-MT adds, with the 2D recipe; shares of the run are iterations over 30,000."""

    unlabelled_batch_size: int = Field(default=12, ge=1)
    # steps: a tenth after 5/12 and 10/12 of the run; poly: (1 - t/T)^0.9
    learning_rate_schedule: Literal["poly", "steps"] = "poly"
    # all: Dice of all classes; foreground: without background
    supervised_dice: Literal["all", "foreground"] = "all"
    # Weight of the consistency term at the end of its ramp.
    consistency: float = Field(default=0.1, ge=0)
    ramp_end: float = Field(default=1.0, gt=0, le=1)
    ramp_stairs: int = Field(default=200, ge=1)
    # A share of the run: the teacher keeps 0.99 of itself a step at 30,000 steps.
    ema_half_life: float = Field(default=68.9676 / 30_000, gt=0)
    ema_floor: float = Field(default=LEAST_HALF_LIFE, ge=0)  # steps: no shorter half-life is used
    # Standard deviation of the noise on the teacher's images, cut at twice this.
    noise: float = Field(default=0.1, ge=0)
    passes: int = Field(default=8, ge=2, multiple_of=2)  # of the teacher, for its uncertainty
    # The entropy below which it is followed, at the start of the run, as a share of the last one.
    first_threshold: float = Field(default=0.75, ge=0, le=1)
    # False: the largest entropy and the divisor are those of two classes, as released.
    classes_aware: bool = False


# The released recipe for LA: 6,000 steps on patches of 112 x 112 x 80.
DEFAULTS_3D: dict[str, Any] = {
    "learning_rate_schedule": "steps",
    "supervised_dice": "foreground",
    "ramp_stairs": 40,
    "ema_half_life": 68.9676 / 6_000,
}


def space(trial: Any) -> Config:
    """What tuning may choose; trial 0 gives the defaults."""
    return Config(
        **shared(trial),
        consistency=trial.suggest_float("consistency", 0.01, 10.0, log=True),
        ramp_end=trial.suggest_float("ramp_end", 0.1, 1.0),
        ema_floor=trial.suggest_float("ema_floor", LEAST_HALF_LIFE, LONGEST_HALF_LIFE, log=True),
        first_threshold=trial.suggest_float("first_threshold", 0.25, 1.0),
    )
