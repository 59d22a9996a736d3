"""Settings of the supervised baseline."""

from methods.config import TrainingConfig


class Config(TrainingConfig):
    """Nothing beyond what every learner has."""
