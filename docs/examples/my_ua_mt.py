"""UA-MT (Yu et al., MICCAI 2019) as one plug-in file: its 2D recipe, with the helpers alone.

The student agrees with its moving average where repeated noisy passes of that are certain. It gives
the same numbers as this project's method `ua_mt`; docs/methods/ua_mt.md has the equations.
"""

import math

import torch

from bench.api import Run, TrainView
from methods import training
from methods.config import TrainingConfig
from methods.schedules import ema_decay, polynomial_decay, sigmoid_ramp
from methods.views import add_noise

CARD = {
    "title": "UA-MT (example)",
    "family": "semi-supervised",
    "summary": "Follows a mean teacher where repeated noisy passes leave that certain.",
    "requires": {"unlabelled": True},
    "precisions": ["float32", "bfloat16"],
}


class Config(TrainingConfig):
    unlabelled_batch_size: int = 12
    consistency: float = 0.1
    ema_half_life: float = 68.9676 / 30_000  # a share of the run
    noise: float = 0.1
    passes: int = 8  # of the teacher, two at a time


class UAMT(training.BackboneMethod):
    def fit(self, view: TrainView, run: Run) -> None:
        if not view.unlabelled:
            raise ValueError("needs unlabelled cases")
        config = self.config
        augment, count = config.augment, config.unlabelled_batch_size
        labelled = training.labelled_batches(view.fit, config.batch_size, run, augment)
        unlabelled = training.unlabelled_batches(view.unlabelled, count, run, augment)
        student = run.backbone().to(run.device).train()
        teacher = run.backbone().to(run.device).train()
        self.network = student
        optimiser = training.optimizer(student.parameters(), config)
        torch.manual_seed(run.seed("dropout"))
        for step in training.steps(run, student, teacher, optimiser, labelled, unlabelled):
            progress = step / run.steps
            x, y = next(labelled)
            u = next(unlabelled)
            with training.autocast(run):
                logits = student(torch.cat([x, u])).float()
                with torch.no_grad():
                    target = teacher(add_noise(u, config.noise)).float().softmax(1)
            entropy = self.entropy(teacher, u, run)
            threshold = (0.75 + 0.25 * sigmoid_ramp(progress, 1.0, run.steps)) * math.log(2)
            certain = entropy < threshold
            differences = ((logits[len(x) :].softmax(1) - target) ** 2).sum(1)
            consistency = (differences * certain).sum() / (2 * certain.sum() + 1e-16)
            supervised = training.segmentation_loss(logits[: len(x)], y)
            weight = config.consistency * sigmoid_ramp(progress, 1.0, 200)
            loss = supervised + weight * consistency
            training.optimise(optimiser, loss, config.learning_rate * polynomial_decay(progress))
            training.ema_update(teacher, student, ema_decay(step, run.steps, config.ema_half_life))
            training.log_losses(run, step, loss=loss, consistency=consistency)
            run.progress(step + 1)

    @torch.no_grad()
    def entropy(self, teacher: torch.nn.Module, images: torch.Tensor, run: Run) -> torch.Tensor:
        """Of the teacher's mean prediction over its passes, in nats (B H W)."""
        total = 0
        for _ in range(self.config.passes // 2):
            with training.autocast(run):
                logits = teacher(add_noise(torch.cat([images, images]), self.config.noise))
            total = total + logits.float().softmax(1).unflatten(0, (2, len(images))).sum(0)
        mean = total / self.config.passes
        return -(mean * (mean + 1e-6).log()).sum(1)


METHOD = UAMT
