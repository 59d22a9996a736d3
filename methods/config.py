"""Settings that every learner shares. Imports no torch, so that planning stays fast."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainingConfig(BaseModel):
    """Settings that every learner has; tuned in the same ranges for all."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    optimizer: Literal["adam", "sgd"] = "sgd"
    learning_rate: float = Field(default=0.01, gt=0)  # at step 0; falls as (1 - t/T)^0.9
    weight_decay: float = Field(default=1e-4, ge=0)
    batch_size: int = Field(default=12, ge=1)  # labelled images
    augment: Literal["none", "flips", "ssl4mis"] = (
        "flips"  # ssl4mis: turns and flips as that code base draws them
    )


def shared(trial: Any) -> dict[str, float]:
    """What every space has, in the same ranges (protocol R2.2): around what SGD and Adam are used with here."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 3e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-5, 1e-3, log=True),
    }
