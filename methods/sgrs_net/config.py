"""Settings of SGRS-Net: the released recipe (docs/methods/sgrs_net.md#defaults)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from methods.config import TrainingConfig, shared
from methods.schedules import LEAST_HALF_LIFE


class Config(TrainingConfig):
    """What SGRS-Net adds; shares of the run are the published iterations over 15,000."""

    unlabelled_batch_size: int = Field(default=12, ge=1)
    learning_rate_schedule: Literal["constant", "poly"] = "constant"  # poly: (1 - t/T)^0.9
    # released: two averages a step, a hidden decay, smoothed labels masked across samples and half
    # a Dice (docs/methods/sgrs_net.md#defects-of-the-released-code)
    recipe: Literal["released", "described"] = "released"
    # False: all pseudo labels are learnt alike, as by a plain mean teacher on two views.
    regions: bool = True
    # Weight of the pseudo labels at the end of the ramp.
    weight: float = Field(default=1.0, ge=0)
    ramp_end: float = Field(default=0.4, gt=0, le=1)
    ramp_stairs: int = Field(default=40, ge=1)
    # A share of the run: the teacher keeps 0.99 of itself a step at 15,000 steps.
    ema_half_life: float = Field(default=68.9676 / 15_000, gt=0)
    ema_floor: float = Field(default=LEAST_HALF_LIFE, ge=0)  # steps: no shorter half-life is used
    # tau: a view is unsure where no class reaches 1 - tau.
    unsure: float = Field(default=0.425, ge=0, le=0.5)
    # Both where the views differ; where they agree there is none, and 1 in Dice.
    label_smoothing: float = Field(default=0.2, ge=0, lt=1)
    dice_smoothing: float = Field(default=20, gt=0)
    mix: float = Field(default=0.75, gt=0)  # both parameters of the Beta that mixes images
    # Standard deviation of the noise on images, cut at twice this. Images in [0, 1] vary far
    # less than the z-scored volumes of the release (docs/methods/sgrs_net.md#deviations).
    noise: float = Field(default=0.02, ge=0)


DEFAULTS_3D: dict[str, Any] = {"noise": 0.1}

# In a run shorter than the card says, pseudo labels reach full weight too early at 40% of it and
# are too often wrong for it, a constant rate never settles, and the released recipe learns more
# slowly (docs/methods/sgrs_net.md#short-runs).
SHORT_FORM: dict[str, Any] = {
    "learning_rate_schedule": "poly",
    "ramp_end": 1.0,
    "weight": 0.3,
    "recipe": "described",
}


def space(trial: Any) -> Config:
    """What tuning may choose; the defaults lie inside."""
    return Config(
        **shared(trial),
        weight=trial.suggest_float("weight", 0.1, 2.0, log=True),
        unsure=trial.suggest_float("unsure", 0.35, 0.49),
        label_smoothing=trial.suggest_float("label_smoothing", 0.0, 0.4),
        dice_smoothing=trial.suggest_float("dice_smoothing", 1.0, 100.0, log=True),
    )
