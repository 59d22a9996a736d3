"""Mean teacher (Tarvainen and Valpola 2017) for segmentation, as SSL4MIS trains it."""

from __future__ import annotations

import torch
from torch import nn

from bench.api import Run, Spec, TrainView
from methods.mean_teacher.config import Config
from methods.schedules import ema_decay, polynomial_decay, sigmoid_ramp
from methods.training import (
    batches,
    flip_images,
    flips,
    optimizer,
    probabilities,
    segmentation_loss,
    set_learning_rate,
    stack,
    stack_images,
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
            raise ValueError("mean teacher needs unlabelled cases; all cases of this budget are labelled")
        images, masks = stack(view.fit, run.device)
        unlabelled = stack_images(view.unlabelled, run.device)
        student, teacher = run.backbone().to(run.device), run.backbone().to(run.device)
        optimiser = optimizer(student.parameters(), config)
        first = batches(len(images), labelled, run.seed("labelled batches"))
        second = batches(len(unlabelled), config.unlabelled_batch_size, run.seed("unlabelled batches"))
        generator = torch.Generator().manual_seed(run.seed("augmentation"))
        other_generator = torch.Generator().manual_seed(run.seed("unlabelled augmentation"))
        torch.manual_seed(run.seed("dropout"))
        for step in range(run.steps):
            progress = step / run.steps
            index, other = next(first), next(second)
            x, y, u = images[index], masks[index], unlabelled[other]
            if config.augment == "flips":
                (x, y), u = flips(x, y, generator), flip_images(u, other_generator)
            with torch.autocast(run.device.type, torch.bfloat16, enabled=run.precision == "bfloat16"):
                logits = student(torch.cat([x, u]))
                noise = (config.noise * torch.randn_like(u)).clamp(-2 * config.noise, 2 * config.noise)
                with torch.no_grad():
                    target = teacher(u + noise).softmax(1)
                # L = (CE + Dice) / 2 on labels + w(t) * mean squared difference of the probabilities
                supervised = segmentation_loss(logits[:labelled], y)
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
                run.log(step, loss=loss.item(), supervised=supervised.item(), consistency=consistency.item())
                run.log(step, weight=weight)
            run.progress(step + 1)
        self.network = teacher if config.predict_with == "teacher" else student

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K H W) of images (B C H W)."""
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
