"""The mirror of finished results in MLflow.

The folder is the truth: what does not reach MLflow, the next `sync` brings there.
"""

from bench.tracking.experiment import Mirror
from bench.tracking.follower import mirror, sync

__all__ = ["Mirror", "mirror", "sync"]
