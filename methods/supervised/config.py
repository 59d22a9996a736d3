"""Settings of the supervised baseline."""

from typing import Any

from methods.config import TrainingConfig


class Config(TrainingConfig):
    """Nothing beyond what every learner has."""


def space(trial: Any) -> Config:
    """What tuning may choose: what every learner has."""
    return Config(
        learning_rate=trial.suggest_float("learning_rate", 3e-3, 3e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-5, 1e-3, log=True),
    )
