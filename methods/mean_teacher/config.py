"""Settings of mean teacher; their sources are in docs/methods/mean_teacher.md#defaults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from methods.config import TrainingConfig, shared
from methods.schedules import LEAST_HALF_LIFE, LONGEST_HALF_LIFE


class Config(TrainingConfig):
    """What mean teacher adds; shares of the run are the published iterations over 30,000."""

    unlabelled_batch_size: int = Field(default=12, ge=1)
    # Weight of the consistency term at the end of its ramp; there is none before `ramp_start`.
    consistency: float = Field(default=0.1, ge=0)
    ramp_end: float = Field(default=1.0, gt=0, le=1)
    ramp_start: float = Field(default=1 / 30, ge=0, le=1)
    ramp_stairs: int = Field(default=200, ge=1)
    # A share of the run: the teacher keeps 0.99 of itself a step at 30,000 steps.
    ema_half_life: float = Field(default=68.9676 / 30_000, gt=0)
    ema_floor: float = Field(default=LEAST_HALF_LIFE, ge=0)  # steps: no shorter half-life is used
    predict_with: Literal["student", "teacher"] = "student"
    # Standard deviation of the noise on the teacher's images, cut at twice this.
    noise: float = Field(default=0.1, ge=0)


# The recipe for volumes starts the consistency term at once.
DEFAULTS_3D: dict[str, Any] = {"ramp_start": 0.0}


def space(trial: Any) -> Config:
    """What tuning may choose; trial 0 gives the defaults."""
    return Config(
        **shared(trial),
        consistency=trial.suggest_float("consistency", 0.01, 10.0, log=True),
        ramp_end=trial.suggest_float("ramp_end", 0.1, 1.0),
        ema_floor=trial.suggest_float("ema_floor", LEAST_HALF_LIFE, LONGEST_HALF_LIFE, log=True),
    )
