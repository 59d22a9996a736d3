"""Settings of the supervised baseline."""

from typing import Any

from methods.config import TrainingConfig, shared


class Config(TrainingConfig):
    """Nothing beyond what every learner has."""


def space(trial: Any) -> Config:
    """The settings that every learner tunes."""
    return Config(**shared(trial))
