"""Training of one FastGAN on the images of one class, and pictures drawn from it.

See docs/methods/ssgnet.md#fastgan.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.api import Saved
from methods.resume import State, keep_step, restore_step
from methods.ssgnet.adversarial import shape_of_pictures, update_average
from methods.ssgnet.config import FastGANConfig
from methods.ssgnet.fastgan.augment import augment_images, flip_some
from methods.ssgnet.fastgan.discriminator import Discriminator
from methods.ssgnet.fastgan.generator import Generator
from methods.ssgnet.fastgan.layers import autocast
from methods.ssgnet.fastgan.losses import (
    discriminator_loss,
    generator_loss,
    reconstruction_loss,
)
from methods.training import add_prefix, batches, strip_prefix

BATCH = 16  # pictures drawn at once
BETAS = (0.5, 0.999)
UNFINISHED = "training/"  # what going on needs and drawing does not


class FastGANTraining:
    """Generator, discriminator, their optimisers, the averaged generator, and the order of images.

    `shape` is (channels, side) of the pictures, `dtype` that of forward passes.
    """

    def __init__(
        self,
        config: FastGANConfig,
        shape: tuple[int, int],
        images: int,
        seed: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.config = config
        self.dtype = dtype
        self.shape = shape
        self.seed = seed
        self.device = device
        channels, side = shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            generator = Generator(config, side, channels)
            discriminator = Discriminator(config, side, channels)
        # Channels last, as convolutions on a CPU and on a GPU take them fastest.
        self.generator = generator.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminator = discriminator.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.generator_adam = build_adam(self.generator, config)
        self.discriminator_adam = build_adam(self.discriminator, config)
        self.order = batches(images, config.batch_size, seed)
        self.step = 0

    @property
    def shown(self) -> int:
        """Number of real images shown so far."""
        return self.step * self.config.batch_size

    def carried(self) -> list[Any]:
        """All that changes from step to step, besides the average."""
        optimisers = [self.generator_adam, self.discriminator_adam]
        return [self.generator, self.discriminator, *optimisers, self.order]


def build_adam(network: nn.Module, config: FastGANConfig) -> torch.optim.Adam:
    """Adam at the rate of both networks."""
    return torch.optim.Adam(network.parameters(), config.rate, BETAS, fused=True)


def train_generator(
    images: torch.Tensor,
    config: FastGANConfig,
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
    `dtype` is that of forward passes; spectral norms, augmentations and losses are in float32.
    Raises BenchError for images of another shape.
    """
    shape = shape_of_pictures(images, "FastGAN")
    training = FastGANTraining(config, shape, len(images), seed, device, dtype)
    if snapshot is not None:
        restore_snapshot(training, snapshot)
    real = (images * 2 - 1).to(device, memory_format=torch.channels_last)
    while training.step < steps:
        train_batch(training, real[next(training.order).to(device)])
        if report and every and training.shown % every < config.batch_size:
            report(training.shown, take_snapshot(training))
        elif saved and saved.is_due():
            saved.keep(take_snapshot(training))
    return take_snapshot(training)


def train_batch(training: FastGANTraining, real: torch.Tensor) -> None:
    """One batch (B C R R) in [-1, 1]: a step of D, one of G on the same fakes, the average."""
    config = training.config
    random, quarter = step_randomness(training.seed, training.step, training.device)
    if config.flips:
        real = flip_some(real, random)
    real = augment_images(real, random)
    z = torch.randn(len(real), config.z_dim, generator=random, device=training.device)
    with autocast(training.generator, training.device, training.dtype):
        pictures = training.generator(z, random)
    fake = augment_images(pictures, random)
    update_discriminator(training, real, fake.detach(), random, quarter)
    update_generator(training, fake)
    training.step += 1
    keep = average_keep(training.step, config.average)
    update_average(training.average, training.generator, keep)


def step_randomness(seed: int, step: int, device: torch.device) -> tuple[torch.Generator, int]:
    """Random numbers of a step on the device, and which quarter D has to draw.

    They depend only on seed and step, so that going on needs no state. The quarter is known to the
    host without waiting for the device.
    """
    random = np.random.default_rng([seed, step])
    seed_of_step = int(random.integers(2**63))
    return torch.Generator(device).manual_seed(seed_of_step), int(random.integers(4))


def update_discriminator(
    training: FastGANTraining,
    real: torch.Tensor,
    fake: torch.Tensor,
    random: torch.Generator,
    quarter: int,
) -> None:
    """One step of D: the hinge loss, and the drawing of real pictures alone."""
    discriminator = training.discriminator
    with autocast(discriminator, training.device, training.dtype):
        judged = discriminator(real)
        whole, part = discriminator.reconstruct(judged, quarter)
    with autocast(discriminator, training.device, training.dtype):
        logits_of_fake = discriminator(fake).logits
    loss = discriminator_loss(judged.logits, logits_of_fake, random)
    loss = loss + reconstruction_loss(real, whole, part, quarter)
    training.discriminator_adam.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    training.discriminator_adam.step()


def update_generator(training: FastGANTraining, fake: torch.Tensor) -> None:
    """One step of G; D is left as it is but for its running statistics."""
    training.discriminator.requires_grad_(False)
    with autocast(training.discriminator, training.device, training.dtype):
        logits = training.discriminator(fake).logits
    loss = generator_loss(logits)
    training.generator_adam.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    training.generator_adam.step()
    training.discriminator.requires_grad_(True)


def average_keep(step: int, largest: float) -> float:
    """Share of the old average that the given step (from 1) keeps.

    It grows with the steps, so that short trainings do not draw with their initial weights.
    """
    return min(largest, step / (step + 9))


def take_snapshot(training: FastGANTraining) -> State:
    """Everything that going on and drawing need, copied to the CPU."""
    text = training.config.model_dump_json()
    state = {
        "config": torch.tensor(list(text.encode()), dtype=torch.uint8),
        "shape": torch.tensor(training.shape),
    }
    state |= add_prefix("average.", training.average.state_dict())
    kept = keep_step(training.step, training.carried(), training.device)
    state |= add_prefix(UNFINISHED, kept)
    copies: State = {}
    for name, value in state.items():
        copies[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
    return copies


def restore_snapshot(training: FastGANTraining, state: State) -> None:
    """Go on from a snapshot of the same training."""
    training.average.load_state_dict(strip_prefix("average.", state))
    kept = strip_prefix(UNFINISHED, state)
    training.step = restore_step(kept, training.carried(), training.device)
    for adam in (training.generator_adam, training.discriminator_adam):
        lay_out_as_weights(adam)


def lay_out_as_weights(adam: torch.optim.Adam) -> None:
    """Give the moments the memory layout of their weights, which a fused step takes for granted.

    A snapshot does not keep it.
    """
    for weight, slots in adam.state.items():
        for name, value in slots.items():
            if value.shape == weight.shape:
                slots[name] = torch.empty_like(weight).copy_(value)


def drawing_part(state: State) -> State:
    """A snapshot without what only going on needs; one of another generator stays as it is."""
    return {name: value for name, value in state.items() if not name.startswith(UNFINISHED)}


def is_snapshot(state: State) -> bool:
    """Whether a snapshot of a generator is one of FastGAN."""
    return bool(read_config(state).get("kind") == "fastgan")


def read_config(state: State) -> dict[str, Any]:
    """The settings in a snapshot, as they were given."""
    given: dict[str, Any] = json.loads(bytes(state["config"].tolist()))
    return given


@torch.no_grad()
def draw_pictures(
    state: State, n: int, seed: int, device: torch.device | None = None
) -> Iterator[torch.Tensor]:
    """n pictures in [0, 1] of the averaged generator, on the CPU, in parts (B C R R)."""
    channels, side = state["shape"].tolist()
    config = FastGANConfig(**read_config(state))
    generator = Generator(config, side, channels)
    generator.load_state_dict(strip_prefix("average.", state))
    generator.to(device).eval()
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(n, config.z_dim, generator=random)
    for start in range(0, n, BATCH):
        part = z[start : start + BATCH].to(device)
        yield ((generator(part, random).cpu() + 1) / 2).clamp(0, 1)
