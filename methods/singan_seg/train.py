"""Trains the pyramid of one image and its mask, scale by scale (dossier, sections 3 and 4)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.nn.functional import mse_loss

from bench.errors import BenchError
from methods.schedules import step_decay
from methods.singan_seg.config import PyramidConfig
from methods.singan_seg.networks import Critic, Generator, filters_at, initialise
from methods.singan_seg.pyramid import plan, real_images, resize
from methods.singan_seg.sample import Pyramid, Scale, draw, noise, reconstruct
from methods.training import set_learning_rate

MOMENTUM = 0.1  # of the running statistics of batch norm, for each pass


def train_pyramid(
    pair: torch.Tensor, config: PyramidConfig, seed: int, device: torch.device
) -> Pyramid:
    """The pyramid of a pair (1 C H W) in [-1, 1]. Raises BenchError for an image too small, or when it diverges."""
    scales = plan(pair.shape[-2], pair.shape[-1], config)
    pyramid = Pyramid((), scales.factor, torch.zeros((1, 1, *scales.sizes[0]), device=device))
    random = torch.Generator().manual_seed(seed)
    below: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for n, real in enumerate(real_images(pair.to(device), scales)):
            width = filters_at(n, config.filters)
            generator, critic = Generator(pair.shape[1], width), Critic(pair.shape[1], width)
            for number, network in enumerate((generator, critic)):
                start(network, below[number] if below else None)
                network.to(device).train()
            pyramid = train_scale(real, pyramid, generator, critic, config, random)
            below = [generator, critic]
    if not reconstruct(pyramid).isfinite().all():
        raise BenchError(
            f"gan_learning_rate {config.gan_learning_rate} given; the pyramid diverged; lower it"
        )
    return pyramid


def start(network: nn.Module, below: nn.Module | None) -> None:
    """Fresh weights, or those of the network of the scale below where it has the same width."""
    initialise(network)
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
) -> Pyramid:
    """`below` with one more scale, trained to give patches of real (1 C H W)."""
    n, channels, size = len(below.scales), real.shape[1], (real.shape[2], real.shape[3])
    below_rec = upsampled(reconstruct(below), below, size) if n else torch.zeros_like(real)
    amplitude = noise_amplitude(real, below_rec, config.noise) if n else 1.0
    z_rec = torch.zeros_like(real)
    adam = {"lr": config.gan_learning_rate, "betas": (config.beta1, config.beta2), "fused": True}
    critic_optimiser = torch.optim.Adam(critic.parameters(), **adam)  # type: ignore[arg-type]
    generator_optimiser = torch.optim.Adam(generator.parameters(), **adam)  # type: ignore[arg-type]
    # The released code makes its passes over unchanged weights and steps once: the reconstruction then counts so many
    # times in the running statistics, and nothing else changes (section 8, pitfall 1).
    released = config.g_steps == "released"
    updates = 1 if released else config.generator_steps
    rec_momentum = 1 - (1 - MOMENTUM) ** config.generator_steps if released else MOMENTUM
    for step in range(config.iterations):
        rate = config.gan_learning_rate * step_decay(step / config.iterations, config.decay_at, 0.1)
        set_learning_rate(critic_optimiser, rate)
        set_learning_rate(generator_optimiser, rate)
        if n == 0 and (step == 0 or config.reconstruction_noise == "released"):
            z_rec = noise(1, n, channels, size, random).to(real.device)
        z = noise(1, n, channels, size, random).to(real.device)
        # The noise of this scale stays for the iteration, the scales below are drawn anew in each critic step.
        for number, previous in enumerate(draw_below(below, config.critic_steps, real, random)):
            with torch.set_grad_enabled(number == config.critic_steps - 1):
                fake = generator(amplitude * z + previous, previous)
            share = torch.rand((), generator=random).item()
            loss = critic_loss(critic, real, fake.detach(), share, config.gradient_penalty)
            critic_optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            critic_optimiser.step()
        for update in range(updates):
            if update:
                fake = generator(amplitude * z + previous, previous)
            generator.set_momentum(rec_momentum)
            rec = generator(amplitude * z_rec + below_rec, below_rec)
            generator.set_momentum(MOMENTUM)
            # Section 3: L_G = -mean D(fake) + 10 MSE(G(amplitude z_rec + x_rec, x_rec), real)
            loss = -critic(fake).mean() + config.reconstruction_weight * mse_loss(rec, real)
            generator_optimiser.zero_grad()
            loss.backward(inputs=list(generator.parameters()))  # type: ignore[no-untyped-call]
            generator_optimiser.step()
    scale = Scale(size, amplitude, generator.frozen())
    noise_rec = below.noise if n else z_rec[:, :1].clone()
    return replace(below, scales=(*below.scales, scale), noise=noise_rec)


def draw_below(
    below: Pyramid, count: int, real: torch.Tensor, random: torch.Generator
) -> tuple[torch.Tensor, ...]:
    """`count` samples (1 C H W) of the scales below at the size of `real`; zeros at scale 0."""
    if not below.scales:
        return (torch.zeros_like(real),) * count
    size = (real.shape[2], real.shape[3])
    return upsampled(draw(below, count, random), below, size).split(1)


def upsampled(images: torch.Tensor, below: Pyramid, size: tuple[int, int]) -> torch.Tensor:
    """Images (B C H W) of a pyramid at the size of its next scale."""
    return resize(images, 1 / below.factor, size)


def noise_amplitude(real: torch.Tensor, below_rec: torch.Tensor, noise_share: float) -> float:
    """Section 3: 0.1 RMSE(real, upsampled reconstruction)."""
    return noise_share * mse_loss(below_rec, real).sqrt().item()


def critic_loss(
    critic: Critic, real: torch.Tensor, fake: torch.Tensor, share: float, penalty_weight: float
) -> torch.Tensor:
    """Section 3: L_D = -mean D(real) + mean D(fake) + 0.1 penalty at share real + (1 - share) fake."""
    between = share * real + (1 - share) * fake
    wasserstein = critic(fake).mean() - critic(real).mean()
    return wasserstein + penalty_weight * gradient_penalty(critic, between)


def gradient_penalty(critic: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """mean (|slope of the scores' sum| - 1)^2, the norm taken over channels at each pixel (section 3)."""
    images = images.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    return ((slope.norm(dim=1) - 1) ** 2).mean()
