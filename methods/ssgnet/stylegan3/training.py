"""Training of one StyleGAN3 on the images of one class, and pictures drawn from it.

See docs/methods/ssgnet.md#adversarial-training.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch

from bench.api import Saved
from methods.resume import State
from methods.ssgnet.adversarial import shape_of_pictures, update_average
from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3.ada import augment_images
from methods.ssgnet.stylegan3.generator import Generator
from methods.ssgnet.stylegan3.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
)
from methods.ssgnet.stylegan3.state import (
    AdversarialTraining,
    average_decay,
    next_p,
    read_settings,
    restore_snapshot,
    seeded_generator,
    take_snapshot,
)
from methods.training import batches, strip_prefix

BATCH = 16  # pictures drawn at once

Part = tuple[torch.Tensor, float]  # pictures of a batch, and their share of it


def train_generator(
    images: torch.Tensor,
    config: GeneratorConfig,
    steps: int,
    seed: int,
    device: torch.device,
    snapshot: State | None = None,
    every: int = 0,
    report: Callable[[int, State], None] | None = None,
    saved: Saved | None = None,
    dtype: torch.dtype = torch.float32,
) -> State:
    """Train until `steps` batches of images (N C R R) in [0, 1] were shown, and return a snapshot.

    Begins at `snapshot` if one is given. `report(images shown, snapshot)` is called each time that
    `every` more images were shown; in between, `saved` is given a snapshot whenever one is due.
    `dtype` is that of convolutions; R1 and all else is computed in float32. Raises BenchError for
    images of another shape.
    """
    shape = shape_of_pictures(images, "StyleGAN3")
    training = AdversarialTraining(config, shape, seed, device, dtype)
    if snapshot is not None:
        restore_snapshot(training, snapshot)
    real = images.to(device) * 2 - 1
    all_batches = batches(len(real), config.batch_size, seed)
    order = itertools.islice(all_batches, training.step, None)
    while training.step < steps:
        train_batch(training, real[next(order)])
        if report and every and training.shown % every < config.batch_size:
            report(training.shown, take_snapshot(training))
        elif saved and saved.is_due():
            saved.keep(take_snapshot(training))
    return take_snapshot(training)


def train_batch(training: AdversarialTraining, real: torch.Tensor) -> None:
    """One batch (B C R R) in [-1, 1]: steps of G and D, the penalty, the average, and p."""
    config = training.config
    random = seeded_generator(training.seed, 1 + training.step)
    parts = [(part, len(part) / len(real)) for part in real.chunk(config.batch_parts)]
    update_generator(training, parts, random)
    update_discriminator(training, parts, random)
    if config.gamma and training.step % config.r1_every == 0:
        apply_penalty(training, parts, random)
    decay = average_decay(training.shown, config)
    update_average(training.average, training.generator, decay)
    training.step += 1
    if training.step % config.ada_every == 0:
        training.p = next_p(training.p, training.signs, config)
        training.signs.zero_()


def update_generator(
    training: AdversarialTraining, parts: list[Part], random: torch.Generator
) -> None:
    """One step of G; D is left as it is."""
    training.discriminator.requires_grad_(False)
    for part, share in parts:
        fake = make_fakes(training, len(part), random, update=False)
        loss = generator_loss(discriminate(training, fake, random))
        (share * loss).backward()  # type: ignore[no-untyped-call]
    apply_gradients(training.generator_adam)
    training.discriminator.requires_grad_(True)


def update_discriminator(
    training: AdversarialTraining, parts: list[Part], random: torch.Generator
) -> None:
    """One step of D; G is left as it is but for its running statistics."""
    for part, share in parts:
        with torch.no_grad():
            fake = make_fakes(training, len(part), random, update=True)
        logits = discriminate(training, part, random)
        loss = discriminator_loss(logits, discriminate(training, fake, random))
        (share * loss).backward()  # type: ignore[no-untyped-call]
        training.signs[0] += logits.detach().sign().sum()
        training.signs[1] += len(part)
    apply_gradients(training.discriminator_adam)


def apply_penalty(
    training: AdversarialTraining, parts: list[Part], random: torch.Generator
) -> None:
    """One step of D for R1, which comes every `r1_every` batches and counts as many times."""
    config = training.config
    for part, share in parts:
        penalty = gradient_penalty(
            lambda pictures: discriminate(training, pictures, random, torch.float32),
            part,
            config.gamma,
        )
        (share * config.r1_every * penalty).backward()  # type: ignore[no-untyped-call]
    apply_gradients(training.discriminator_adam)


def make_fakes(
    training: AdversarialTraining, count: int, random: torch.Generator, update: bool
) -> torch.Tensor:
    """`count` pictures of G; `update` moves its running statistics."""
    z = torch.randn(count, training.config.z_dim, generator=random).to(training.device)
    pictures: torch.Tensor = training.generator(z, update=update, dtype=training.dtype)
    return pictures


def discriminate(
    training: AdversarialTraining,
    pictures: torch.Tensor,
    random: torch.Generator,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Logits (B,) of D for augmented pictures (B C R R), in `dtype` or that of the training."""
    augmented = augment_images(pictures, training.p, random)
    logits: torch.Tensor = training.discriminator(augmented, dtype or training.dtype)
    return logits


def apply_gradients(optimiser: torch.optim.Optimizer) -> None:
    """One step with the gradients accumulated over the parts of a batch, which are then dropped."""
    optimiser.step()
    optimiser.zero_grad()


@torch.no_grad()
def draw_pictures(
    state: State, n: int, seed: int, psi: float = 1.0, device: torch.device | None = None
) -> Iterator[torch.Tensor]:
    """n pictures in [0, 1] of the averaged generator, on the CPU; psi < 1 truncates styles.

    They come in parts (B C R R), since a large pool would fill the memory.
    """
    config, (channels, side) = read_settings(state)
    generator = Generator(config, side, channels)
    generator.load_state_dict(strip_prefix("average.", state))
    generator.to(device)
    z = torch.randn(n, config.z_dim, generator=seeded_generator(seed, 0))
    for start in range(0, n, BATCH):
        part = z[start : start + BATCH].to(device)
        yield ((generator(part, psi).cpu() + 1) / 2).clamp(0, 1)
