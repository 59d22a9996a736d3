"""Stage 2: generator and reconstructor against lesion segmenter and critic.

See docs/methods/smile.md#adversarial-training.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from bench.api import Case, Run
from methods.schedules import ema_decay, step_decay
from methods.smile import losses
from methods.smile.config import Config
from methods.smile.losses import Target
from methods.smile.networks import Critic
from methods.training import (
    autocast,
    ema_update,
    labelled_batches,
    log_losses,
    optimise,
    segmentation_loss,
    steps,
    unlabelled_batches,
)


def train_adversarially(
    lesion_segmenter: nn.Module,
    generator: nn.Module,
    reconstructor: nn.Module,
    labelled: Sequence[Case],
    hidden: Sequence[Case],
    normals: Sequence[Case],
    config: Config,
    run: Run,
) -> None:
    """Train generator and reconstructor for T steps; `lesion_segmenter` becomes S0, the average.

    `hidden` are images without masks, `normals` images without a lesion for the critic. If there
    are none, their terms are left out.
    """
    training = AdversarialTraining(
        lesion_segmenter, generator, reconstructor, labelled, hidden, normals, config, run
    )
    torch.manual_seed(run.seed("game"))  # the name of the role decides all draws, so it stays
    for step in steps(run, *training.carried()):
        training.run_step(step)
        run.progress(step + 1)


class AdversarialTraining:
    """The networks of stage 2, their optimisers and their batches.

    The teacher is S0, the moving average of the student S. The makers are generator and
    reconstructor.
    """

    def __init__(
        self,
        teacher: nn.Module,
        generator: nn.Module,
        reconstructor: nn.Module,
        labelled: Sequence[Case],
        hidden: Sequence[Case],
        normals: Sequence[Case],
        config: Config,
        run: Run,
    ) -> None:
        self.config = config
        self.run = run
        self.teacher = teacher.train()
        self.student = copy.deepcopy(teacher)
        self.generator = generator
        self.reconstructor = reconstructor
        self.critic = build_critic(run, config) if normals and config.critic_weight else None
        makers = [*generator.parameters(), *reconstructor.parameters()]
        self.maker_adam = torch.optim.Adam(makers, betas=(0.9, 0.99), fused=True)
        self.student_adam = torch.optim.Adam(
            self.student.parameters(), betas=(0.9, 0.99), fused=True
        )
        if self.critic is not None:
            self.critic_adam = torch.optim.Adam(
                self.critic.parameters(), betas=(0.0, 0.9), fused=True
            )
        hidden_size = config.unlabelled_batch_size if hidden else 0
        normal_size = config.batch_size + hidden_size  # as many as there are images with G(x)
        self.has_hidden = bool(hidden)
        self.labelled = labelled_batches(labelled, config.batch_size, run, config.augment)
        self.hidden = unlabelled_batches(hidden, hidden_size, run, config.augment)
        self.normals = unlabelled_batches(normals, normal_size, run, config.augment)

    def carried(self) -> list[Any]:
        """All that changes from step to step."""
        networks = [self.teacher, self.student, self.generator, self.reconstructor]
        carried: list[Any] = [*networks, self.maker_adam, self.student_adam]
        if self.critic is not None:
            carried += [self.critic, self.critic_adam]
        return [*carried, self.labelled, self.hidden, self.normals]

    def run_step(self, step: int) -> None:
        """Update the critic, then generator and reconstructor, then S, and average S into S0."""
        progress = step / self.run.steps
        decay = step_decay(progress, self.config.decay_at, 0.1)
        x, y = next(self.labelled)
        images = torch.cat([x, next(self.hidden)]) if self.has_hidden else x
        target = self.make_target(images, y, progress)
        with autocast(self.run):
            fake = self.generator(images)
        if self.critic is not None:
            critic_loss = self.update_critic(self.critic, fake.detach(), decay)
        terms = self.update_makers(images, fake, target, decay)
        loss = self.update_student(x, y, images, fake.detach(), target, decay)
        keep = ema_decay(step, self.run.steps, self.config.ema_half_life, self.config.ema_floor)
        ema_update(self.teacher, self.student, keep)
        log_losses(self.run, step, segmentor=loss, sure=target.sure.mean())
        log_losses(self.run, step, **{name: target.mean(term) for name, term in terms.items()})
        if self.critic is not None:
            log_losses(self.run, step, critic=critic_loss)

    @torch.no_grad()
    def make_target(self, images: torch.Tensor, masks: torch.Tensor, progress: float) -> Target:
        """Masks of the labelled images, which come first, and pseudo-masks of the others by S0."""
        with autocast(self.run):
            logits = self.teacher(images)
        pseudo = logits[len(masks) :].float().softmax(1)
        weight = losses.unlabelled_weight(progress, self.config.ramp_end)
        return losses.make_target(masks, pseudo, self.config.gate, weight)

    def update_critic(self, critic: Critic, fake: torch.Tensor, decay: float) -> torch.Tensor:
        """`critic_steps` steps on the same G(x); returns the last loss."""
        rate = self.config.critic_learning_rate * decay
        for _ in range(self.config.critic_steps):
            real = next(self.normals)
            loss = losses.critic_loss(critic, real, fake, self.config.gradient_penalty)
            optimise(self.critic_adam, loss, rate)
        return loss

    def update_makers(
        self, images: torch.Tensor, fake: torch.Tensor, target: Target, decay: float
    ) -> dict[str, torch.Tensor]:
        """One step of generator and reconstructor with S and critic fixed; returns the terms.

        Source: docs/methods/smile.md#objective, eq. 1.
        """
        config = self.config
        with autocast(self.run):
            terms = generator_terms(images, fake, target, self.student.eval(), self.critic, config)
        contrast: torch.Tensor | None = None
        if config.lesion_code == "contrast":
            contrast = losses.lesion_contrast(images, target.maps, config.background)
        lesions = losses.encode_lesions(target.maps, contrast)
        # R learns from its own term alone. With a weight of 0 it still does, but without G.
        weight = config.reconstruction_weight or 1
        source = fake if config.reconstruction_weight else fake.detach()
        with autocast(self.run):
            rebuilt = self.reconstructor(source, lesions)
        terms["reconstruction"] = weight * losses.reconstruction_term(images, rebuilt)
        loss = torch.stack([target.mean(term) for term in terms.values()]).sum()
        optimise(self.maker_adam, loss, config.generator_learning_rate * decay)
        return terms

    def update_student(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        images: torch.Tensor,
        fake: torch.Tensor,
        target: Target,
        decay: float,
    ) -> torch.Tensor:
        """One step of S on labelled images (x, y) and on G(x), with G fixed; returns its loss.

        Source: docs/methods/smile.md#objective, eq. 2.
        """
        config = self.config
        inputs = torch.cat([x, fake]) if config.game else x
        with autocast(self.run):
            logits = self.student.train()(inputs)
        logits = logits.float()
        loss = segmentation_loss(logits[: len(x)], y)
        if config.game:
            weight = losses.unchanged_weight(images, fake)
            suspicion = losses.suspicion_term(logits[len(x) :], weight, target)
            loss = loss + config.suspicion_weight * target.mean(suspicion)
        optimise(self.student_adam, loss, config.segmentor_learning_rate * decay)
        return loss


def generator_terms(
    images: torch.Tensor,
    fake: torch.Tensor,
    target: Target,
    student: nn.Module,
    critic: Critic | None,
    config: Config,
) -> dict[str, torch.Tensor]:
    """The weighted terms a1 to a4 that the config asks for, for each image (B,)."""
    keep = losses.keep_term(images, fake, target)
    fill = losses.fill_term(images, fake, target, config.mean_of, config.background)
    terms = {"keep": config.keep_weight * keep, "fill": config.fill_weight * fill}
    if config.game and config.health_weight:
        terms["health"] = config.health_weight * losses.health_term(student(fake).float())
    if critic is not None:
        with torch.autocast(fake.device.type, enabled=False):
            terms["adversary"] = -config.critic_weight * critic(fake)
    return terms


def build_critic(run: Run, config: Config) -> Critic:
    """A critic for the images of the run, from a seed of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed("critic"))
        critic = Critic(run.spec.channels, config.critic_width)
    return critic.to(run.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
