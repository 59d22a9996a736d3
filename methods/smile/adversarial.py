"""Stage 2: generator and reconstructor against segmentor and critic (dossier, section 4)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from bench.api import Case, Run
from methods.schedules import ema_decay, step_decay
from methods.smile import losses
from methods.smile.config import Config
from methods.smile.networks import Critic
from methods.training import (
    labelled_batches,
    segmentation_loss,
    set_learning_rate,
    unlabelled_batches,
)


def play(
    segmentor: nn.Module,
    generator: nn.Module,
    reconstructor: nn.Module,
    labelled: Sequence[Case],
    hidden: Sequence[Case],
    normals: Sequence[Case],
    config: Config,
    run: Run,
) -> None:
    """T steps; `segmentor` is S0, the moving average. Without `hidden` or `normals` their terms are left out."""
    first = labelled_batches(labelled, config.batch_size, run, config.augment)
    second = unlabelled_batches(hidden, config.unlabelled_batch_size, run, config.augment)
    count = config.batch_size + (config.unlabelled_batch_size if hidden else 0)
    third = unlabelled_batches(normals, count, run, config.augment)
    teacher, student = segmentor.train(), copy.deepcopy(segmentor)
    critic = new_critic(run, config) if normals and config.critic_weight else None
    makers = [*generator.parameters(), *reconstructor.parameters()]
    maker_adam = torch.optim.Adam(makers, betas=(0.9, 0.99))
    student_adam = torch.optim.Adam(student.parameters(), betas=(0.9, 0.99))
    critic_adam = torch.optim.Adam(critic.parameters(), betas=(0.0, 0.9)) if critic else None
    torch.manual_seed(run.seed("game"))
    for step in range(run.steps):
        progress = step / run.steps
        decay = step_decay(progress, config.decay_at, 0.1)
        x, y = next(first)
        images = torch.cat([x, next(second)]) if hidden else x
        with torch.no_grad():  # true masks of the labelled images, those of S0 for the others
            pseudo = teacher(images)[len(x) :].softmax(1)
        target = losses.target_of(y, pseudo, config.gate, losses.ramp(progress, config.ramp_end))
        fake = generator(images)
        if critic and critic_adam:
            set_learning_rate(critic_adam, config.critic_learning_rate * decay)
            for _ in range(config.critic_steps):
                apart = losses.critic_loss(
                    critic, next(third), fake.detach(), config.gradient_penalty
                )
                update(critic_adam, apart, critic.parameters())
        # Section 3d: L_G = a1 CE(S(G), 0) + a2 (G-x)^2 (1-m) + a3 (G-mu)^2 m + a4 adv + a5 |R(G, m) - x|; S, D fixed
        set_learning_rate(maker_adam, config.generator_learning_rate * decay)
        terms = generator_terms(images, fake, target, student.eval(), critic, config)
        # R learns from its own term alone; without a5 so it does, and G is left out.
        contrast = (
            losses.contrast_of(images, target.maps, config.background)
            if config.lesion_code == "contrast"
            else None
        )
        lesions = losses.code(target.maps, contrast)
        rebuilt = reconstructor(fake if config.reconstruction_weight else fake.detach(), lesions)
        terms["reconstruction"] = (config.reconstruction_weight or 1) * losses.reconstruction(
            images, rebuilt
        )
        update(maker_adam, sum(target.mean(term) for term in terms.values()), makers)
        # L_S = w CE(S(G), m) + (CE + Dice) / 2 of the original labelled images; G fixed
        set_learning_rate(student_adam, config.segmentor_learning_rate * decay)
        fake = fake.detach()
        logits = student.train()(torch.cat([x, fake]) if config.game else x)
        loss = segmentation_loss(logits[: len(x)], y)
        if config.game:
            suspicion = losses.suspicion(logits[len(x) :], losses.unchanged(images, fake), target)
            loss = loss + config.suspicion_weight * target.mean(suspicion)
        update(student_adam, loss, student.parameters())
        follow(teacher, student, ema_decay(step, run.steps, config.ema_half_life))
        if step % 10 == 0 or step == run.steps - 1:  # reading a loss waits for the device
            run.log(step, segmentor=loss.item(), sure=target.sure.mean().item())
            run.log(step, **{name: target.mean(term).item() for name, term in terms.items()})
            if critic:
                run.log(step, critic=apart.item())
        run.progress(step + 1)


def generator_terms(
    images: torch.Tensor,
    fake: torch.Tensor,
    target: losses.Target,
    student: nn.Module,
    critic: Any,
    config: Config,
) -> dict[str, torch.Tensor]:
    """The weighted terms a1 to a4 that the config asks for, for each image (B,)."""
    terms = {
        "keep": config.keep_weight * losses.keep(images, fake, target),
        "fill": config.fill_weight
        * losses.fill(images, fake, target, config.mean_of, config.background),
    }
    if config.game and config.health_weight:
        terms["health"] = config.health_weight * losses.health(student(fake))
    if critic:
        terms["adversary"] = -config.critic_weight * critic(fake)
    return terms


def new_critic(run: Run, config: Config) -> Critic:
    """A critic for the images of the run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed("critic"))
        return Critic(run.spec.channels, config.critic_width).to(run.device)


def update(optimiser: torch.optim.Optimizer, loss: Any, parameters: Iterable[nn.Parameter]) -> None:
    """One step; the loss leaves no gradient on any other network."""
    optimiser.zero_grad()
    loss.backward(inputs=list(parameters))
    optimiser.step()


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, keep: float) -> None:
    """Parameters alone: the batch statistics of S0 come from its own passes, which see real images only."""
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)
