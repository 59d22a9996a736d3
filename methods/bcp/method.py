"""BCP (Bai et al. 2023): labelled images pasted into unlabelled ones, and the other way round."""

from __future__ import annotations

import torch
from torch import nn

from bench.api import Run, TrainView
from methods.bcp.config import Config
from methods.bcp.mixing import Side, halves, mixed_loss, update_teacher
from methods.components import largest_components
from methods.schedules import polynomial_decay, step_decay
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
from methods.views import copy_paste_box, paste


class BCP(BackboneMethod):
    """Learns labels and a teacher's labels on images that hold both."""

    config: Config

    def fit(self, view: TrainView, run: Run) -> None:
        """Two phases of T steps in all: on labelled images, then on both (docs/methods/bcp.md)."""
        config = self.config
        if config.mix and len(view.fit) < 2:
            raise ValueError("bcp pastes labelled images into each other; 1 given; label 2 or more")
        labelled, unlabelled = both_batches(view, run, config, "bcp")
        student = run.backbone().to(run.device).train()
        teacher = run.backbone().to(run.device).train()
        self.network = student
        optimiser = optimizer(student.parameters(), config)
        first_phase = round(config.pretrain * run.steps)
        torch.manual_seed(run.seed("dropout"))
        for step in steps(run, student, teacher, optimiser, labelled, unlabelled):
            x, y = next(labelled)
            if step < first_phase:
                loss = self._loss_of_labelled(x, y, run)
            else:
                if step == first_phase:
                    teacher.load_state_dict(student.state_dict())
                u = next(unlabelled)
                q = self._pseudo_labels(teacher, u, run)
                loss = self._loss_of_both(x, y, u, q, run)
            phase = max(0, step - first_phase) / max(1, run.steps - first_phase)
            rate = config.learning_rate * self._decay(step / run.steps, phase)
            optimise(optimiser, loss, rate)
            if step >= first_phase:
                half_life, floor = config.ema_half_life, config.ema_floor
                update_teacher(
                    teacher, student, run.steps, half_life, floor, config.average_statistics
                )
            log_losses(run, step, loss=loss)
            run.progress(step + 1)

    def _loss_of_labelled(self, x: torch.Tensor, y: torch.Tensor, run: Run) -> torch.Tensor:
        """First phase: one half of the labelled images is pasted into the other."""
        if not self.config.mix:
            return segmentation_loss(self._logits(x, run), y)
        x_a, x_b = halves(x, (len(x) + 1) // 2)
        y_a, y_b = halves(y, (len(x) + 1) // 2)
        box = copy_paste_box(self.spec.size, self.config.box, x.device)
        return mixed_loss(self._logits(paste(box, x_b, x_a), run), box, Side(y_a, 1), Side(y_b, 1))

    def _loss_of_both(
        self, x: torch.Tensor, y: torch.Tensor, u: torch.Tensor, q: torch.Tensor, run: Run
    ) -> torch.Tensor:
        """Second phase: labelled into unlabelled images, and unlabelled into labelled ones.

        Source: docs/methods/bcp.md#loss, eq. 2.
        """
        weight = self.config.weight
        if not self.config.mix:
            on_x, on_u = self._logits(torch.cat([x, u]), run).tensor_split([len(x)])
            return segmentation_loss(on_x, y) + weight * segmentation_loss(on_u, q)
        count = (max(len(x), len(u)) + 1) // 2
        x_a, x_b = halves(x, count)
        y_a, y_b = halves(y, count)
        u_a, u_b = halves(u, count)
        q_a, q_b = halves(q, count)
        box = copy_paste_box(self.spec.size, self.config.box, x.device)
        into_unlabelled = self._logits(paste(box, x_a, u_a), run)
        into_labelled = self._logits(paste(box, u_b, x_b), run)
        loss = mixed_loss(into_unlabelled, box, outer=Side(q_a, weight), inner=Side(y_a, 1))
        return loss + mixed_loss(into_labelled, box, outer=Side(y_b, 1), inner=Side(q_b, weight))

    def _logits(self, images: torch.Tensor, run: Run) -> torch.Tensor:
        with autocast(run):
            logits: torch.Tensor = self.network(images)
        return logits.float()

    @torch.no_grad()
    def _pseudo_labels(self, teacher: nn.Module, u: torch.Tensor, run: Run) -> torch.Tensor:
        """The teacher's classes (B *S), in training mode; of each the largest component."""
        with autocast(run):
            labels: torch.Tensor = teacher(u).argmax(1)
        if not self.config.largest_component:
            return labels
        return largest_components(labels, self.spec.classes)

    def _decay(self, progress: float, phase: float) -> float:
        """At t/T of the run and at a share of the second phase."""
        if self.config.learning_rate_schedule == "poly":
            return polynomial_decay(progress)
        if self.config.learning_rate_schedule == "steps":
            return step_decay(phase, 1 / 6, 0.1)
        return 1.0


METHOD = BCP
