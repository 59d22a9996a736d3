"""URPC (Luo et al. 2021): consistency of predictions at several scales, weighted by certainty."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench.api import Run, TrainView
from methods.schedules import polynomial_decay, sigmoid_ramp
from methods.semi_supervised import both_batches
from methods.training import (
    BackboneMethod,
    autocast,
    log_losses,
    optimise,
    optimizer,
    segmentation_loss,
    steps,
)
from methods.urpc.config import Config
from methods.urpc.pyramid import build_coarse_heads, scale_consistency


class URPC(BackboneMethod):
    """One network whose scales agree on unlabelled images, in one pass."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on batches [labelled | unlabelled] (docs/methods/urpc.md#loss).

        The full scale predicts, without the coarse heads.
        """
        config = self.config
        labelled, unlabelled = both_batches(view, run, config, "urpc")
        network = run.backbone()
        heads = build_coarse_heads(network, self.spec, run, config).to(run.device).train()
        self.network = network.to(run.device).train()
        optimiser = optimizer([*network.parameters(), *heads.parameters()], config)
        torch.manual_seed(run.seed("dropout"))
        for step in steps(run, network, heads, optimiser, labelled, unlabelled):
            progress = step / run.steps
            x, y = next(labelled)
            images = torch.cat([x, next(unlabelled)])
            with autocast(run):
                maps = self.network.decode(self.network.encode(images))
                scales = [self.network.head(maps[-1]), *heads(maps, images.shape[2:])]
            # L = mean of L_sup over scales + w(t) consistency (docs/methods/urpc.md#loss, eq. 1)
            on_labelled = [scale.float()[: len(x)] for scale in scales]
            on_unlabelled = [scale.float()[len(x) :] for scale in scales]
            supervised = mean_loss(on_labelled, y)
            consistency = scale_consistency(on_unlabelled)
            weight = config.consistency * sigmoid_ramp(
                progress, config.ramp_end, config.ramp_stairs
            )
            loss = supervised + weight * consistency
            optimise(optimiser, loss, config.learning_rate * polynomial_decay(progress))
            log_losses(
                run, step, loss=loss, supervised=supervised, consistency=consistency, weight=weight
            )
            run.progress(step + 1)


def mean_loss(scales: Sequence[torch.Tensor], masks: torch.Tensor) -> torch.Tensor:
    """The mean over scales of (CE + Dice) / 2 of logits (B K *S) and masks (B *S)."""
    losses = [segmentation_loss(logits, masks) for logits in scales]
    return torch.stack(losses).mean()


METHOD = URPC
