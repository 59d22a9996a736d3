"""UA-MT (Yu et al. 2019): a mean teacher that is followed only where it is certain."""

from __future__ import annotations

import torch

from bench.api import Run, TrainView
from methods.masked_losses import foreground_loss
from methods.schedules import ema_decay, polynomial_decay, sigmoid_ramp, step_decay
from methods.semi_supervised import both_batches
from methods.training import (
    BackboneMethod,
    autocast,
    ema_update,
    log_losses,
    optimise,
    optimizer,
    segmentation_loss,
    steps,
)
from methods.ua_mt.config import Config
from methods.ua_mt.uncertainty import (
    certain_consistency,
    entropy,
    largest_entropy,
    mean_prediction,
    threshold,
)
from methods.views import add_noise

DECAY_EVERY = 2_500 / 6_000  # of the run


class UAMT(BackboneMethod):
    """A student agrees with its moving average where repeated noisy passes of that agree."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on batches [labelled | unlabelled] (docs/methods/ua_mt.md#loss)."""
        config = self.config
        labelled, unlabelled = both_batches(view, run, config, "ua_mt")
        student = run.backbone().to(run.device).train()
        teacher = run.backbone().to(run.device).train()
        self.network = student
        classes = self.spec.classes if config.classes_aware else 2
        optimiser = optimizer(student.parameters(), config)
        torch.manual_seed(run.seed("dropout"))
        for step in steps(run, student, teacher, optimiser, labelled, unlabelled):
            progress = step / run.steps
            x, y = next(labelled)
            u = next(unlabelled)
            with autocast(run):
                logits = student(torch.cat([x, u]))
                with torch.no_grad():
                    target = teacher(add_noise(u, config.noise))
            on_labelled, on_unlabelled = logits.float().tensor_split([len(x)])
            mean = mean_prediction(teacher, u, config.noise, config.passes, run)
            certain = entropy(mean) < threshold(
                progress, run.steps, config.first_threshold, largest_entropy(classes)
            )
            # L = L_sup + w(t) mean over certain pixels of (p_student - p_teacher)^2
            # docs/methods/ua_mt.md#loss, eq. 1 and 4
            supervised = self._supervised(on_labelled, y)
            consistency = certain_consistency(
                on_unlabelled.softmax(1), target.float().softmax(1), certain, classes
            )
            weight = config.consistency * sigmoid_ramp(
                progress, config.ramp_end, config.ramp_stairs
            )
            loss = supervised + weight * consistency
            optimise(optimiser, loss, config.learning_rate * self._decay(progress))
            keep = ema_decay(step, run.steps, config.ema_half_life, config.ema_floor)
            ema_update(teacher, student, keep)
            log_losses(
                run,
                step,
                loss=loss,
                supervised=supervised,
                consistency=consistency,
                weight=weight,
                certain=certain.float().mean(),
            )
            run.progress(step + 1)

    def _decay(self, progress: float) -> float:
        if self.config.learning_rate_schedule == "steps":
            return step_decay(progress, DECAY_EVERY, 0.1)
        return polynomial_decay(progress)

    def _supervised(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """(CE + Dice) / 2; on LA the Dice of the foreground alone."""
        if self.config.supervised_dice == "foreground":
            return foreground_loss(logits, masks)
        return segmentation_loss(logits, masks)


METHOD = UAMT
