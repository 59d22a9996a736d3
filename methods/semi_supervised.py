"""What learners from labelled and unlabelled images share: their two streams of batches."""

from __future__ import annotations

from typing import Any

import torch

from bench.api import Run, TrainView
from methods.sampling import Batch, CaseBatches, labelled_batches, unlabelled_batches


def both_batches(
    view: TrainView, run: Run, config: Any, method: str, device: torch.device | None = None
) -> tuple[CaseBatches[Batch], CaseBatches[torch.Tensor]]:
    """Endless batches of labelled and of unlabelled cases, of the sizes that the config names.

    They lie on the device of the run; `device` is another one for labelled cases.
    Raises ValueError if all cases of the budget are labelled.
    """
    if not view.unlabelled:
        raise ValueError(f"{method} needs unlabelled cases; all cases of this budget are labelled")
    labelled = labelled_batches(view.fit, config.batch_size, run, config.augment, device=device)
    unlabelled = unlabelled_batches(
        view.unlabelled, config.unlabelled_batch_size, run, config.augment
    )
    return labelled, unlabelled
