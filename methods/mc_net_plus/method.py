"""MC-Net+ (Wu et al. 2022a): three decoders agree with each other's sharpened predictions."""

from __future__ import annotations

import torch

from bench.api import Run, TrainView
from methods.masked_losses import masked_dice_loss
from methods.mc_net_plus.agreement import pairwise_consistency, sharpen, sharpen_over_classes
from methods.mc_net_plus.config import Config
from methods.mc_net_plus.decoders import OtherDecoders
from methods.schedules import polynomial_decay, sigmoid_ramp, step_decay
from methods.semi_supervised import both_batches
from methods.training import BackboneMethod, autocast, log_losses, optimise, optimizer, steps


class MCNetPlus(BackboneMethod):
    """One encoder with three decoders, of which that of the suite's network predicts."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on batches [labelled | unlabelled] (docs/methods/mc_net_plus.md#loss)."""
        config = self.config
        labelled, unlabelled = both_batches(view, run, config, "mc_net_plus")
        network = run.backbone()
        others = OtherDecoders(network, run).to(run.device).train()
        self.network = network.to(run.device).train()
        optimiser = optimizer([*network.parameters(), *others.parameters()], config)
        torch.manual_seed(run.seed("dropout"))
        for step in steps(run, network, others, optimiser, labelled, unlabelled):
            progress = step / run.steps
            x, y = next(labelled)
            images = torch.cat([x, next(unlabelled)])
            with autocast(run):
                levels = self.network.encode(images)
                own = self.network.head(self.network.decode(levels)[-1])
                logits = [own, *others(levels)]
            probabilities = [one.float().softmax(1) for one in logits]
            # L = lambda sum_i Dice_i + w(t) sum_ij (p_i - s(p_j))^2 of all images
            # docs/methods/mc_net_plus.md#loss, eq. 1
            supervised = self._supervised(probabilities, y)
            sharpened = [self._sharpen(p) for p in probabilities]
            consistency = pairwise_consistency(probabilities, sharpened)
            weight = config.consistency * sigmoid_ramp(
                progress, config.ramp_end, config.ramp_stairs
            )
            loss = supervised + weight * consistency
            optimise(optimiser, loss, config.learning_rate * self._decay(progress))
            log_losses(
                run, step, loss=loss, supervised=supervised, consistency=consistency, weight=weight
            )
            run.progress(step + 1)

    def _supervised(self, probabilities: list[torch.Tensor], masks: torch.Tensor) -> torch.Tensor:
        """The sum over decoders of Dice on labelled images; on LA of the foreground."""
        first_class = 1 if self.config.supervised_dice == "foreground" else 0
        total = probabilities[0].new_zeros(())
        for p in probabilities:
            dice = masked_dice_loss(p[: len(masks)], masks, first_class=first_class)
            total = total + self.config.supervised_weight * dice
        return total

    def _sharpen(self, p: torch.Tensor) -> torch.Tensor:
        if self.config.sharpening == "normalised":
            return sharpen_over_classes(p, self.config.temperature)
        return sharpen(p, self.config.temperature)

    def _decay(self, progress: float) -> float:
        if self.config.learning_rate_schedule == "steps":
            return step_decay(progress, 1 / 6, 0.1)
        return polynomial_decay(progress)


METHOD = MCNetPlus
