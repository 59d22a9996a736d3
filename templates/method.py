"""A method of your own, to begin with: it learns what its moving average is sure of.

It runs as it is: name it under `methods:` of a suite (its name is that of this file), and then

    python run_bench.py run SUITE.yaml --plugin NAME.py

What a method is given and must keep to: docs/add_a_method.md, which also has the test to run first.
"""

import torch
from torch.nn.functional import cross_entropy

from bench.api import Run, TrainView
from methods import training
from methods.config import TrainingConfig
from methods.schedules import ema_decay, polynomial_decay

# What the page says of it, and what it needs; all fields: docs/add_a_method.md#the-card.
SUMMARY = "Learns what its moving average is sure of."
CARD = {"summary": SUMMARY, "requires": {"unlabelled": True}, "precisions": ["float32", "bfloat16"]}


class Config(TrainingConfig):
    """Settings beside those that all methods have (optimizer, learning_rate, batch_size, ...)."""

    sure: float = 0.8


class SureTeacher(training.BackboneMethod):
    """Its model is the suite's network, so that `segment`, `state` and `load` are there already."""

    def fit(self, view: TrainView, run: Run) -> None:
        """Train for `run.steps` steps on what the view shows."""
        if not view.unlabelled:
            raise ValueError("needs unlabelled cases")
        config = self.config
        # Endless batches, cropped and augmented as for every other method.
        labelled = training.labelled_batches(view.fit, config.batch_size, run, config.augment)
        rest = training.unlabelled_batches(view.unlabelled, config.batch_size, run, config.augment)
        self.network = run.backbone().to(run.device).train()
        # In training mode: its dropout is on, and its batch statistics come from its own batches.
        teacher = run.backbone().to(run.device).train().requires_grad_(False)
        optimiser = training.optimizer(self.network.parameters(), config)
        torch.manual_seed(run.seed("dropout"))
        # All that changes from step to step is named, so that a killed training can go on.
        for step in training.steps(run, self.network, teacher, optimiser, labelled, rest):
            # Every schedule is a function of t/T: a short run follows the course of a long one.
            progress = step / run.steps
            x, y = next(labelled)
            u = next(rest)
            # In the precision of the suite; softmax and losses take float32.
            with training.autocast(run):
                sure, pseudo = teacher(u).float().softmax(1).max(1)
                pixel_loss = cross_entropy(self.network(u).float(), pseudo, reduction="none")
                loss = training.segmentation_loss(self.network(x).float(), y)
                loss = loss + progress * (pixel_loss * (sure > config.sure)).mean()
            training.optimise(optimiser, loss, config.learning_rate * polynomial_decay(progress))
            training.ema_update(teacher, self.network, ema_decay(step, run.steps, 0.1))
            training.log_losses(run, step, loss=loss)
            run.progress(step + 1)


METHOD = SureTeacher
