"""Settings of URPC; their sources are in docs/methods/urpc.md#defaults."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from methods.config import TrainingConfig, shared


class Config(TrainingConfig):
    """What URPC adds; shares of the run are the published iterations over 30,000."""

    unlabelled_batch_size: int = Field(default=12, ge=1)
    # Weight of the consistency term at the end of its ramp.
    consistency: float = Field(default=0.1, ge=0)
    ramp_end: float = Field(default=1.0, gt=0, le=1)
    ramp_stairs: int = Field(default=200, ge=1)
    perturb: bool = True  # the maps before the coarse heads, in training
    # Scales whose shorter side has fewer pixels are left out, but for that of half the resolution:
    # 32 are an eighth of the released 256 pixels.
    coarsest_side: int = Field(default=32, ge=1)


DEFAULTS_3D: dict[str, Any] = {"coarsest_side": 1}  # all four scales


def space(trial: Any) -> Config:
    """What tuning may choose; trial 0 gives the defaults."""
    return Config(
        **shared(trial),
        consistency=trial.suggest_float("consistency", 0.001, 2.0, log=True),
        ramp_end=trial.suggest_float("ramp_end", 0.1, 1.0),
    )
