"""Settings of mean teacher; defaults are the recipe of SSL4MIS (common protocol, section 4)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from methods.config import TrainingConfig, shared


class Config(TrainingConfig):
    """What mean teacher has beyond every learner. Shares of the run are the published iterations over 30,000."""

    unlabelled_batch_size: int = Field(default=12, ge=1)
    consistency: float = Field(default=0.1, ge=0)  # weight at the end of the ramp
    ramp_end: float = Field(default=1.0, gt=0, le=1)
    ramp_start: float = Field(default=1 / 30, ge=0, le=1)  # no consistency before
    ramp_stairs: int = Field(default=200, ge=1)
    ema_half_life: float = Field(default=68.9676 / 30_000, gt=0)  # 0.99 a step at 30,000 steps
    predict_with: Literal["student", "teacher"] = "student"
    noise: float = Field(
        default=0.1, ge=0
    )  # deviation of the noise on the teacher's images, cut at twice this


# The recipe for volumes has no wait at its start.
DEFAULTS_3D: dict[str, Any] = {"ramp_start": 0.0}


def space(trial: Any) -> Config:
    """What tuning may choose; trial 0 gives the defaults."""
    return Config(
        **shared(trial),
        consistency=trial.suggest_float("consistency", 0.01, 10.0, log=True),
        ramp_end=trial.suggest_float("ramp_end", 0.1, 1.0),
        ema_half_life=trial.suggest_float("ema_half_life", 1e-3, 0.1, log=True),
    )
