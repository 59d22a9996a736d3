"""Trains the pyramid of one image and its mask, scale by scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.functional import mse_loss

from bench.api import Saved
from bench.errors import BenchError
from methods.resume import State, keep_step, restore_step
from methods.schedules import step_decay
from methods.singan_seg.config import PyramidConfig
from methods.singan_seg.networks import Critic, Generator, filters_at, initialise_weights
from methods.singan_seg.pyramid import images_at_scales, plan_scales, resize
from methods.singan_seg.sample import (
    Pyramid,
    Scale,
    draw_noise,
    draw_samples,
    pyramid_from_tensors,
    reconstruct_image,
)
from methods.training import add_prefix, optimise, strip_prefix

MOMENTUM = 0.1  # weight of each pass in the running statistics of batch norm
PICTURE_EVERY = 500  # iterations, and after the last one


def train_pyramid(
    pair: torch.Tensor,
    config: PyramidConfig,
    seed: int,
    device: torch.device,
    saved: Saved | None = None,
    precision: str = "float32",
) -> Pyramid:
    """The pyramid of a pair (1 C H W) in [-1, 1]; goes on with the one that `saved` holds.

    `precision` is that of the generator's passes; the critic and its penalty stay in float32.
    Raises BenchError if the image is too small or the training diverges.
    """
    plan = plan_scales(pair.shape[-2], pair.shape[-1], config)
    pyramid = Pyramid((), plan.factor, torch.zeros((1, 1, *plan.sizes[0]), device=device))
    random = torch.Generator().manual_seed(seed)
    progress = PyramidProgress(saved, device)
    pyramid = progress.finished or pyramid
    generator_below: Generator | None = None
    critic_below: Critic | None = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for n, real in enumerate(images_at_scales(pair.to(device), plan)):
            if n < len(pyramid.scales):
                continue  # trained by a launch that was killed
            width = filters_at(n, config.filters)
            generator = Generator(pair.shape[1], width)
            critic = Critic(pair.shape[1], width)
            initialise_from_below(generator, generator_below)
            initialise_from_below(critic, critic_below)
            generator.to(device).train()
            critic.to(device).train()
            pyramid = train_scale(
                real, pyramid, generator, critic, config, random, progress, precision
            )
            generator_below = generator
            critic_below = critic
    _check_convergence(pyramid, config)
    return pyramid


def _check_convergence(pyramid: Pyramid, config: PyramidConfig) -> None:
    if not reconstruct_image(pyramid).isfinite().all():
        raise BenchError(
            f"gan_learning_rate {config.gan_learning_rate} given; the pyramid diverged; lower it"
        )


def initialise_from_below(network: nn.Module, below: nn.Module | None) -> None:
    """Copy the weights of the scale below if it has the same width; draw fresh ones if not."""
    initialise_weights(network)  # draws in either case, so that later draws do not depend on it
    if below is not None and _shapes(below) == _shapes(network):
        network.load_state_dict(below.state_dict())


def _shapes(network: nn.Module) -> list[torch.Size]:
    return [value.shape for value in network.state_dict().values()]


def train_scale(
    real: torch.Tensor,
    below: Pyramid,
    generator: Generator,
    critic: Critic,
    config: PyramidConfig,
    random: torch.Generator,
    progress: PyramidProgress | None = None,
    precision: str = "float32",
) -> Pyramid:
    """`below` with one more scale, trained to give patches of real (1 C H W)."""
    training = ScaleTraining(real, below, generator, critic, config, random, precision)
    first = progress.restore(training) if progress else 0
    for step in range(first, config.iterations):
        training.run_iteration(step)
        if progress:
            progress.keep(training, step + 1)
    return training.pyramid()


class PyramidProgress:
    """What a killed launch has left of a pyramid, and what this one keeps.

    That are the scales that are trained, and all that changes in the steps of the next one.
    """

    def __init__(self, saved: Saved | None, device: torch.device) -> None:
        self.saved = saved
        self.device = device
        self.finished: Pyramid | None = None
        self.unfinished: State | None = None  # of the scale above
        if saved is not None and saved.last is not None:
            self.unfinished = strip_prefix("scale/", saved.last)
            self.finished = pyramid_from_tensors(strip_prefix("below/", saved.last), device)

    def restore(self, training: ScaleTraining) -> int:
        """Fill a scale with what was kept of it; returns how many steps were done."""
        if self.unfinished is None:
            return 0
        step = restore_step(self.unfinished, training.carried(), self.device)
        self.unfinished = None
        return step

    def keep(self, training: ScaleTraining, step: int) -> None:
        """Keep the state after `step` steps of a scale, if that is due."""
        if self.saved is None or not self.saved.is_due():
            return
        scale = keep_step(step, training.carried(), self.device)
        below = training.below.tensors()
        self.saved.keep({**add_prefix("below/", below), **add_prefix("scale/", scale)})


class ScaleTraining:
    """The networks of one scale, and what their training steps share."""

    def __init__(
        self,
        real: torch.Tensor,
        below: Pyramid,
        generator: Generator,
        critic: Critic,
        config: PyramidConfig,
        random: torch.Generator,
        precision: str = "float32",
    ) -> None:
        self.real = real
        self.precision = precision
        self.below = below
        self.generator = generator
        self.critic = critic
        self.config = config
        self.random = random
        self.scale = len(below.scales)
        self.size = (real.shape[2], real.shape[3])
        self.below_reconstruction = torch.zeros_like(real)
        self.amplitude = 1.0
        if self.scale:
            self.below_reconstruction = upsample(reconstruct_image(below), below, self.size)
            self.amplitude = noise_amplitude(real, self.below_reconstruction, config.noise)
        self.reconstruction_noise = torch.zeros_like(real)
        self.generator_optimiser = build_adam(generator, config)
        self.critic_optimiser = build_adam(critic, config)

    def carried(self) -> list[Any]:
        """All that changes from step to step."""
        optimisers = [self.generator_optimiser, self.critic_optimiser]
        return [self.generator, self.critic, *optimisers, self.random, self]

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What steps change besides networks, optimisers and random numbers."""
        return {"noise": self.reconstruction_noise[:, :1]}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on with the noise of an earlier launch: one map for all channels, as it was drawn."""
        noise = state["noise"].to(self.real.device)
        if self.scale == 0:
            self.reconstruction_noise = noise.expand(-1, self.real.shape[1], -1, -1)

    def run_iteration(self, step: int) -> None:
        """`critic_steps` updates of the critic and the update of the generator.

        Source: docs/methods/singan_seg.md#training-step.
        """
        config = self.config
        rate = config.gan_learning_rate * step_decay(step / config.iterations, config.decay_at, 0.1)
        redraw = step == 0 or config.reconstruction_noise == "released"
        if self.scale == 0 and redraw:
            self.reconstruction_noise = self.draw_noise()
        # The noise of this scale stays for the iteration; the samples of the scales below are
        # drawn anew for each critic step.
        noise = self.draw_noise()
        samples = draw_below(self.below, config.critic_steps, self.real, self.random)
        for previous in samples[:-1]:
            with torch.no_grad():
                fake = self.make_fake(noise, previous)
            self.update_critic(fake, rate)
        fake = self.make_fake(noise, samples[-1])
        self.update_critic(fake.detach(), rate)
        self.update_generator(fake, noise, samples[-1], rate)
        if step % PICTURE_EVERY == 0 or step == config.iterations - 1:
            self.draw_picture()

    def draw_noise(self) -> torch.Tensor:
        """Noise (1 C H W) of this scale."""
        channels = self.real.shape[1]
        return draw_noise(1, self.scale, channels, self.size, self.random).to(self.real.device)

    def make_fake(self, noise: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        """A sample (1 C H W) from noise and the upsampled sample of the scale below."""
        low = self.precision == "bfloat16"
        with torch.autocast(self.real.device.type, torch.bfloat16, enabled=low):
            fake: torch.Tensor = self.generator(self.amplitude * noise + previous, previous)
        return fake

    def update_critic(self, fake: torch.Tensor, rate: float) -> None:
        """One step of the critic on a fake that carries no gradient."""
        real_share = torch.rand((), generator=self.random).item()
        penalty_weight = self.config.gradient_penalty
        loss = critic_loss(self.critic, self.real, fake, real_share, penalty_weight)
        optimise(self.critic_optimiser, loss, rate)

    def update_generator(
        self, fake: torch.Tensor, noise: torch.Tensor, previous: torch.Tensor, rate: float
    ) -> None:
        """One step of the generator, or several, each on a fresh fake, with `g_steps: paper`.

        The released code makes its passes over unchanged weights before its single step. The
        reconstruction then counts several times in the running statistics and nothing else
        changes, so that a single pass with a larger momentum gives the same.
        """
        updates = self.config.generator_steps
        momentum = MOMENTUM
        if self.config.g_steps == "released":
            momentum = 1 - (1 - MOMENTUM) ** updates
            updates = 1
        for update in range(updates):
            if update:
                fake = self.make_fake(noise, previous)
            self.generator.set_momentum(momentum)
            reconstruction = self.make_fake(self.reconstruction_noise, self.below_reconstruction)
            self.generator.set_momentum(MOMENTUM)
            # docs/methods/singan_seg.md#losses, eq. 3
            difference = mse_loss(reconstruction, self.real)
            loss = -self.critic(fake).mean() + self.config.reconstruction_weight * difference
            optimise(self.generator_optimiser, loss, rate)

    @torch.no_grad()
    def draw_picture(self) -> torch.Tensor:
        """The reconstruction in training mode, which the released code saves as a picture.

        Nothing is done with it here, but the pass counts in the running statistics, after the last
        iteration with a tenth of their weight.
        """
        return self.make_fake(self.reconstruction_noise, self.below_reconstruction)

    def pyramid(self) -> Pyramid:
        """The scales below and this one, frozen."""
        scale = Scale(self.size, self.amplitude, self.generator.freeze())
        noise = self.below.noise
        if self.scale == 0:
            noise = self.reconstruction_noise[:, :1].clone()
        return replace(self.below, scales=(*self.below.scales, scale), noise=noise)


def build_adam(network: nn.Module, config: PyramidConfig) -> torch.optim.Adam:
    """Adam with the settings of the pyramid."""
    betas = (config.beta1, config.beta2)
    return torch.optim.Adam(network.parameters(), config.gan_learning_rate, betas, fused=True)


def draw_below(
    below: Pyramid, count: int, real: torch.Tensor, random: torch.Generator
) -> tuple[torch.Tensor, ...]:
    """`count` samples (1 C H W) of the scales below at the size of `real`; zeros at scale 0."""
    if not below.scales:
        return (torch.zeros_like(real),) * count
    size = (real.shape[2], real.shape[3])
    return upsample(draw_samples(below, count, random), below, size).split(1)


def upsample(images: torch.Tensor, below: Pyramid, size: tuple[int, int]) -> torch.Tensor:
    """Images (B C H W) of a pyramid at the size of its next scale."""
    return resize(images, 1 / below.factor, size)


def noise_amplitude(real: torch.Tensor, below_rec: torch.Tensor, noise_share: float) -> float:
    """noise_share RMSE(real, reconstruction) (docs/methods/singan_seg.md#noise, eq. 4)."""
    return noise_share * mse_loss(below_rec, real).sqrt().item()


def critic_loss(
    critic: nn.Module,
    real: torch.Tensor,
    fake: torch.Tensor,
    real_share: float,
    penalty_weight: float,
) -> torch.Tensor:
    """-mean D(real) + mean D(fake) + weighted penalty at real_share real + (1 - real_share) fake.

    Source: docs/methods/singan_seg.md#losses, eq. 2.
    """
    between = real_share * real + (1 - real_share) * fake
    wasserstein: torch.Tensor = critic(fake).mean() - critic(real).mean()
    return wasserstein + penalty_weight * gradient_penalty(critic, between)


def gradient_penalty(critic: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """mean (|gradient of the sum of scores| - 1)^2, with the norm over channels at each pixel.

    Source: docs/methods/singan_seg.md#losses, eq. 2.
    """
    images = images.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    return ((slope.norm(dim=1) - 1) ** 2).mean()
