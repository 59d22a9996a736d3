"""Settings that every learner shares. Importing this imports no torch, so that planning is fast."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# What each does: docs/augmentation.md#values
Augmentation = Literal["none", "flips", "ssl4mis", "unimatch", "nnunet", "nnunet_elastic"]
OF_IMAGES = ("unimatch",)  # these need values in [0, 1], which volumes do not have


class TrainingConfig(BaseModel):
    """Settings that every learner has; tuned in the same ranges for all (protocol R2.2).

    Defaults: docs/methods/common.md#optimiser, batches on the same page.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    optimizer: Literal["adam", "sgd"] = "sgd"
    # At step 0; falls as (1 - t/T)^0.9 unless the method has another schedule.
    learning_rate: float = Field(default=0.01, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    batch_size: int = Field(default=12, ge=1)  # labelled images
    augment: Augmentation = "flips"


class MixtureConfig(TrainingConfig):
    """Of methods that train on real and on synthetic images."""

    # Of real images in each batch; None: one pool, from which all are drawn alike.
    real_share: float | None = Field(default=None, gt=0, lt=1)

    @model_validator(mode="after")
    def _check_room_for_both(self) -> MixtureConfig:
        if self.real_share is not None and self.batch_size < 2:
            raise ValueError(
                f"real_share {self.real_share:g} given with batch_size {self.batch_size}; a batch "
                "needs room for a real and a synthetic image; raise batch_size"
            )
        return self


def shared(trial: Any) -> dict[str, float]:
    """What every search space has, in the same ranges (docs/methods/common.md#search-space)."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 3e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-3, log=True),
    }
