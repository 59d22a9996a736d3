"""Settings of FixMatch; their sources are in docs/methods/fixmatch.md#defaults."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from methods.config import TrainingConfig, shared


class Config(TrainingConfig):
    """What FixMatch adds. The weak view is that of `augment` (docs/augmentation.md#values)."""

    unlabelled_batch_size: int = Field(default=12, ge=1)
    weight: float = Field(default=1.0, ge=0)  # of the pseudo labels, from the end of the ramp on
    ramp_end: float = Field(default=0.0, ge=0, le=1)  # of the weight, a share of the run; 0: none
    confidence: float = Field(default=0.95, ge=0)  # pixels below it are not learnt
    # The strong view: docs/methods/common.md#views
    jitter: float = Field(default=0.5, ge=0, lt=1)
    jitter_probability: float = Field(default=0.8, ge=0, le=1)
    blur_probability: float = Field(default=0.5, ge=0, le=1)


# In a short run on few labels the published weight makes the network sure of background alone
# (docs/checklist.md#pseudo-labels-that-drown-the-rest).
SHORT_FORM: dict[str, Any] = {"weight": 0.03, "ramp_end": 1.0}


def space(trial: Any) -> Config:
    """What tuning may choose; trial 0 gives the defaults."""
    return Config(
        **shared(trial),
        weight=trial.suggest_float("weight", 0.01, 2.0, log=True),
        confidence=trial.suggest_float("confidence", 0.6, 0.99),
        jitter=trial.suggest_float("jitter", 0.1, 0.8),
    )
