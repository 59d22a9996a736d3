"""Settings of BCP; their sources are in docs/methods/bcp.md#defaults."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from methods.config import TrainingConfig, shared
from methods.schedules import LEAST_HALF_LIFE, LONGEST_HALF_LIFE


class Config(TrainingConfig):
    """What BCP adds, with the recipe for ACDC; shares are iterations over 10,000 + 30,000."""

    unlabelled_batch_size: int = Field(default=12, ge=1)
    # steps: a tenth after every sixth of the second phase; poly: (1 - t/T)^0.9
    learning_rate_schedule: Literal["constant", "steps", "poly"] = "constant"
    pretrain: float = Field(default=0.25, ge=0, lt=1)  # the first phase, as a share of the run
    mix: bool = True  # False: whole images instead of mixed ones
    box: float = Field(default=2 / 3, gt=0, lt=1)  # of every side
    weight: float = Field(default=0.5, ge=0)  # of pseudo labels; that of labels is 1
    # A share of the run: the teacher keeps 0.99 of itself a step at 40,000 steps.
    ema_half_life: float = Field(default=68.9676 / 40_000, gt=0)
    ema_floor: float = Field(default=LEAST_HALF_LIFE, ge=0)  # steps: no shorter half-life is used
    average_statistics: bool = True  # the teacher averages batch statistics too
    largest_component: bool = True  # of each class, in pseudo labels

    @model_validator(mode="after")
    def _check_room_for_halves(self) -> Config:
        smallest = min(self.batch_size, self.unlabelled_batch_size)
        if self.mix and smallest < 2:
            raise ValueError(
                f"batches of {self.batch_size} labelled and {self.unlabelled_batch_size} "
                "unlabelled images given; bcp mixes the halves of a batch; give 2 or more, or "
                "mix: false"
            )
        return self


# The released recipe for LA: 2,000 + 15,000 steps.
DEFAULTS_3D: dict[str, Any] = {
    "learning_rate_schedule": "steps",
    "pretrain": 2 / 17,
    "ema_half_life": 68.9676 / 17_000,
    "average_statistics": False,
}
# In a run shorter than the card says a constant rate never settles, and 2/17 of it are too few
# steps to learn the labels that the teacher starts with (docs/methods/bcp.md).
SHORT_FORM: dict[str, Any] = {"learning_rate_schedule": "poly", "pretrain": 0.25}


def space(trial: Any) -> Config:
    """What tuning may choose; trial 0 gives the defaults."""
    return Config(
        **shared(trial),
        weight=trial.suggest_float("weight", 0.1, 1.0, log=True),
        box=trial.suggest_float("box", 0.3, 0.8),
        pretrain=trial.suggest_float("pretrain", 0.1, 0.5),
        ema_floor=trial.suggest_float("ema_floor", LEAST_HALF_LIFE, LONGEST_HALF_LIFE, log=True),
    )
