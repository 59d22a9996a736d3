"""Settings of SGRS-Net; defaults are the released recipe (dossier, section 5)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from methods.config import TrainingConfig, shared


class Config(TrainingConfig):
    """What SGRS-Net has beyond every learner; shares of the run are the published iterations over 15,000."""

    unlabelled_batch_size: int = Field(default=12, ge=1)
    learning_rate_schedule: Literal["constant", "poly"] = "constant"  # poly falls as (1 - t/T)^0.9
    # released: two averages a step, a hidden decay, smoothed labels masked across samples, half a Dice (section 8.3)
    recipe: Literal["released", "described"] = "released"
    regions: bool = (
        True  # False: every pseudo label is learnt alike, as by a plain mean teacher on two views
    )
    weight: float = Field(default=1.0, ge=0)  # of the pseudo labels, at the end of the ramp
    ramp_end: float = Field(default=0.4, gt=0, le=1)
    ramp_stairs: int = Field(default=40, ge=1)
    ema_half_life: float = Field(default=68.9676 / 15_000, gt=0)  # 0.99 a step at 15,000 steps
    unsure: float = Field(
        default=0.425, ge=0, le=0.5
    )  # tau: unsure where no class is above 1 - tau
    label_smoothing: float = Field(default=0.2, ge=0, lt=1)  # where the views disagree
    dice_smoothing: float = Field(default=20, gt=0)  # where the views disagree; 1 where they agree
    mix: float = Field(default=0.75, gt=0)  # both parameters of the Beta that mixes images
    noise: float = Field(default=0.1, ge=0)  # deviation of the noise on images, cut at twice this


def space(trial: Any) -> Config:
    """What tuning may choose; the defaults lie inside."""
    return Config(
        **shared(trial),
        weight=trial.suggest_float("weight", 0.1, 2.0, log=True),
        unsure=trial.suggest_float("unsure", 0.35, 0.49),
        label_smoothing=trial.suggest_float("label_smoothing", 0.0, 0.4),
        dice_smoothing=trial.suggest_float("dice_smoothing", 1.0, 100.0, log=True),
    )
