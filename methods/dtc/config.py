"""Settings of DTC; their sources are in docs/methods/dtc.md#defaults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from methods.config import TrainingConfig, shared


class Config(TrainingConfig):
    """What DTC adds; shares of the run are the published iterations over 6,000."""

    unlabelled_batch_size: int = Field(default=12, ge=1)
    # steps: a tenth after 5/12 and 10/12 of the run; poly: (1 - t/T)^0.9
    learning_rate_schedule: Literal["steps", "poly"] = "steps"
    level_set_weight: float = Field(default=0.3, ge=0)  # of distances on labelled images
    # Of the last pixel inside of a class. zero: 0, as released; inside: a distance like others.
    inner_border: Literal["zero", "inside"] = "inside"
    # Weight of the agreement of both heads at the end of its ramp.
    consistency: float = Field(default=1.0, ge=0)
    ramp_end: float = Field(default=1.0, gt=0, le=1)
    ramp_stairs: int = Field(default=40, ge=1)
    steepness: float = Field(default=1500, gt=0)  # k of the mask sigmoid(-k z) of a level set


# The release is for 3D, where a border of one voxel is thin.
DEFAULTS_3D: dict[str, Any] = {"inner_border": "zero"}


def space(trial: Any) -> Config:
    """What tuning may choose; trial 0 gives the defaults."""
    return Config(
        **shared(trial),
        consistency=trial.suggest_float("consistency", 0.05, 2.0, log=True),
        level_set_weight=trial.suggest_float("level_set_weight", 0.05, 1.0, log=True),
        ramp_end=trial.suggest_float("ramp_end", 0.1, 1.0),
        steepness=trial.suggest_float("steepness", 10.0, 3000.0, log=True),
    )
