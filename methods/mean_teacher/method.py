"""Mean teacher (Tarvainen and Valpola 2017), for segmentation as SSL4MIS trains it, and for classification."""

from __future__ import annotations

import torch
from torch import nn

from bench.api import Run, Spec, TrainView
from methods.mean_teacher.config import Config
from methods.schedules import ema_decay, polynomial_decay, sigmoid_ramp
from methods.training import (
    labelled_batches,
    optimizer,
    probabilities,
    set_learning_rate,
    task_loss,
    unlabelled_batches,
)


class MeanTeacher:
    """A student fits labels and agrees with the moving average of itself; the student's last iterate is the model."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.network: nn.Module

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on mixed batches [labelled | unlabelled]."""
        config, labelled = self.config, self.config.batch_size
        if not view.unlabelled:
            raise ValueError(
                "mean teacher needs unlabelled cases; all cases of this budget are labelled"
            )
        first = labelled_batches(view.fit, labelled, run, config.augment)
        second = unlabelled_batches(
            view.unlabelled, config.unlabelled_batch_size, run, config.augment
        )
        student, teacher = (
            run.backbone().to(run.device).train(),
            run.backbone().to(run.device).train(),
        )
        loss_of = task_loss(run.spec.task)
        self.network = teacher if config.predict_with == "teacher" else student
        optimiser = optimizer(student.parameters(), config)
        torch.manual_seed(run.seed("dropout"))
        for step in range(run.steps):
            progress = step / run.steps
            (x, y), u = next(first), next(second)
            with torch.autocast(
                run.device.type, torch.bfloat16, enabled=run.precision == "bfloat16"
            ):
                logits = student(torch.cat([x, u]))
                noise = (config.noise * torch.randn_like(u)).clamp(
                    -2 * config.noise, 2 * config.noise
                )
                with torch.no_grad():
                    target = teacher(u + noise).softmax(1)
                # L = (CE + Dice) / 2 (classification: CE) on labels + w(t) * mean squared difference of probabilities
                supervised = loss_of(logits[:labelled], y)
                consistency = ((logits[labelled:].softmax(1) - target) ** 2).mean()
                weight = config.consistency * sigmoid_ramp(
                    progress, config.ramp_end, config.ramp_stairs, config.ramp_start
                )
                loss = supervised + weight * consistency
            set_learning_rate(optimiser, config.learning_rate * polynomial_decay(progress))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            follow(teacher, student, ema_decay(step, run.steps, config.ema_half_life))
            if step % 10 == 0 or step == run.steps - 1:
                run.log(
                    step,
                    loss=loss.item(),
                    supervised=supervised.item(),
                    consistency=consistency.item(),
                )
                run.log(step, weight=weight)
            run.progress(step + 1)

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K *S) of images (B C *S)."""
        return probabilities(self.network, images)

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K) of images (B C H W)."""
        return probabilities(self.network, images)

    def state(self) -> dict[str, torch.Tensor]:
        """The weights of the network that predicts."""
        return self.network.state_dict()

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        """Fill a fresh backbone."""
        self.network = run.backbone().to(run.device)
        self.network.load_state_dict(state)


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, keep: float) -> None:
    """Teacher = keep teacher + (1 - keep) student, parameters alone: its batch statistics come from its own passes."""
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)


METHOD = MeanTeacher
