"""DTC (Luo et al. 2021a): a segmentation and a level set of one network that agree."""

from __future__ import annotations

import torch

from bench.api import Run, TrainView
from methods.dtc.config import Config
from methods.dtc.level_sets import (
    build_level_set_head,
    masks_of,
    require_each_class,
    signed_distances,
)
from methods.masked_losses import masked_dice_loss
from methods.schedules import polynomial_decay, sigmoid_ramp, step_decay
from methods.semi_supervised import both_batches
from methods.training import BackboneMethod, autocast, log_losses, optimise, optimizer, steps

DECAY_EVERY = 2_500 / 6_000  # of the run


class DTC(BackboneMethod):
    """Two heads of one network predict the same masks, one of them through distances."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on batches [labelled | unlabelled] (docs/methods/dtc.md#loss).

        Labelled batches are made on the host, where their distances are computed.
        """
        config = self.config
        require_each_class([case.mask for case in view.fit if case.mask is not None], self.spec)
        zero_border = config.inner_border == "zero"
        labelled, unlabelled = both_batches(view, run, config, "dtc", torch.device("cpu"))
        network = run.backbone()
        head = build_level_set_head(network, self.spec, run).to(run.device).train()
        self.network = network.to(run.device).train()
        optimiser = optimizer([*network.parameters(), *head.parameters()], config)
        torch.manual_seed(run.seed("dropout"))
        for step in steps(run, network, head, optimiser, labelled, unlabelled):
            progress = step / run.steps
            host_x, host_y = next(labelled)
            distances = signed_distances(host_y, self.spec.classes, zero_border).to(run.device)
            x, y = host_x.to(run.device), host_y.to(run.device)
            with autocast(run):
                features = self.network.features(torch.cat([x, next(unlabelled)]))
                logits = self.network.head(features)
            p = logits.float().softmax(1)
            z = head(features.float())  # in float32: the masks of level sets are steep
            # L = Dice of the foreground + 0.3 (z - d)^2 + w(t) (S(z) - p)^2 of all images
            # docs/methods/dtc.md#loss, eq. 1
            dice = masked_dice_loss(p[: len(x)], y, first_class=1)
            distance = ((z[: len(x)] - distances) ** 2).mean()
            supervised = dice + config.level_set_weight * distance
            consistency = ((masks_of(z, config.steepness) - p[:, 1:]) ** 2).mean()
            weight = config.consistency * sigmoid_ramp(
                progress, config.ramp_end, config.ramp_stairs
            )
            loss = supervised + weight * consistency
            optimise(optimiser, loss, config.learning_rate * self._decay(progress))
            log_losses(
                run,
                step,
                loss=loss,
                supervised=supervised,
                distance=distance,
                consistency=consistency,
                weight=weight,
            )
            run.progress(step + 1)

    def _decay(self, progress: float) -> float:
        if self.config.learning_rate_schedule == "steps":
            return step_decay(progress, DECAY_EVERY, 0.1)
        return polynomial_decay(progress)


METHOD = DTC
