"""Mean teacher (Tarvainen and Valpola 2017), in segmentation with the recipe of SSL4MIS."""

from __future__ import annotations

import torch

from bench.api import Run, TrainView
from methods.mean_teacher.config import Config
from methods.schedules import ema_decay, polynomial_decay, sigmoid_ramp
from methods.semi_supervised import both_batches
from methods.training import (
    BackboneMethod,
    as_probabilities,
    autocast,
    ema_update,
    log_losses,
    optimise,
    optimizer,
    spec_loss,
    steps,
)
from methods.views import add_noise


class MeanTeacher(BackboneMethod):
    """A student fits the labels and agrees with the moving average of itself on noisy images."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on mixed batches [labelled | unlabelled] (docs/methods/mean_teacher.md#loss)."""
        config = self.config
        labelled, unlabelled = both_batches(view, run, config, "mean teacher")
        student = run.backbone().to(run.device).train()
        teacher = run.backbone().to(run.device).train()
        self.network = teacher if config.predict_with == "teacher" else student
        supervised_loss = spec_loss(run.spec)
        optimiser = optimizer(student.parameters(), config)
        torch.manual_seed(run.seed("dropout"))
        for step in steps(run, student, teacher, optimiser, labelled, unlabelled):
            progress = step / run.steps
            x, y = next(labelled)
            u = next(unlabelled)
            with autocast(run):
                logits = student(torch.cat([x, u])).float()
                noisy = add_noise(u, config.noise)
                with torch.no_grad():
                    target = as_probabilities(teacher(noisy).float(), run.spec)
                # L = L_sup of labelled images + w(t) mean (p_student - p_teacher)^2 of the others
                # docs/methods/mean_teacher.md#loss, eq. 1
                supervised = supervised_loss(logits[: len(x)], y)
                predicted = as_probabilities(logits[len(x) :], run.spec)
                consistency = ((predicted - target) ** 2).mean()
                weight = config.consistency * sigmoid_ramp(
                    progress, config.ramp_end, config.ramp_stairs, config.ramp_start
                )
                loss = supervised + weight * consistency
            optimise(optimiser, loss, config.learning_rate * polynomial_decay(progress))
            keep = ema_decay(step, run.steps, config.ema_half_life, config.ema_floor)
            ema_update(teacher, student, keep)
            log_losses(
                run, step, loss=loss, supervised=supervised, consistency=consistency, weight=weight
            )
            run.progress(step + 1)


METHOD = MeanTeacher
