"""CPS (Chen et al. 2021) with the recipe of SSL4MIS: each network learns the other's labels."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from bench.api import Run, TrainView
from methods.cps.config import Config
from methods.networks.start import draw_again
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


class CPS(BackboneMethod):
    """Two networks of different starts fit the labels and each other's hard predictions."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on [labelled | unlabelled], which both networks see (docs/methods/cps.md#loss).

        The first network predicts.
        """
        config = self.config
        labelled, unlabelled = both_batches(view, run, config, "cps")
        first = run.backbone()
        second = run.backbone()
        draw_again(second, run.seed("second network"))
        self.network = first.to(run.device).train()
        second.to(run.device).train()
        first_optimiser = optimizer(first.parameters(), config)
        second_optimiser = optimizer(second.parameters(), config)
        torch.manual_seed(run.seed("dropout"))
        for step in steps(
            run, first, second, first_optimiser, second_optimiser, labelled, unlabelled
        ):
            progress = step / run.steps
            x, y = next(labelled)
            images = torch.cat([x, next(unlabelled)])
            with autocast(run):
                of_first = first(images)
                of_second = second(images)
            on_labelled, on_unlabelled = of_first.float().tensor_split([len(x)])
            other_labelled, other_unlabelled = of_second.float().tensor_split([len(x)])
            # L_i = L_sup + w(t) CE(f_i(u), argmax f_j(u)) (docs/methods/cps.md#loss, eq. 1)
            supervised = segmentation_loss(on_labelled, y)
            other_supervised = segmentation_loss(other_labelled, y)
            cross = cross_entropy(on_unlabelled, other_unlabelled.argmax(1))
            other_cross = cross_entropy(other_unlabelled, on_unlabelled.argmax(1))
            weight = config.weight * sigmoid_ramp(progress, config.ramp_end, config.ramp_stairs)
            loss = supervised + weight * cross
            other_loss = other_supervised + weight * other_cross
            rate = config.learning_rate * polynomial_decay(progress)
            optimise(first_optimiser, loss, rate)
            optimise(second_optimiser, other_loss, rate)
            log_losses(
                run,
                step,
                loss=loss,
                supervised=supervised,
                cross=cross,
                weight=weight,
                second=other_loss,
            )
            run.progress(step + 1)


METHOD = CPS
