"""Training of one StyleGAN3 on the images of one class, and samples of it (dossier, section 2a)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch

from bench.errors import BenchError
from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3.ada import augment
from methods.ssgnet.stylegan3.generator import Generator
from methods.ssgnet.stylegan3.losses import discriminator_loss, generator_loss, gradient_penalty
from methods.ssgnet.stylegan3.state import (
    Game,
    State,
    average_decay,
    next_p,
    restore,
    settings,
    snapshot_of,
    stream,
    under,
    update_average,
)
from methods.training import batches


def train_generator(
    images: torch.Tensor,
    config: GeneratorConfig,
    steps: int,
    seed: int,
    device: torch.device,
    snapshot: State | None = None,
    every: int = 0,
    report: Callable[[int, State], None] | None = None,
) -> State:
    """Play on until `steps` batches of images (N C R R) in [0, 1] were shown, from the start or from a snapshot.

    `report(images shown, state)` is called each time that `every` more images were shown; a state is a snapshot.
    """
    if images.ndim != 4 or images.shape[2] != images.shape[3] or not len(images):
        raise BenchError(
            f"StyleGAN3 got images {tuple(images.shape)}; it needs squares (N C R R), N > 0; resize them"
        )
    game = Game(config, (images.shape[1], images.shape[2]), seed, device)
    if snapshot is not None:
        restore(game, snapshot)
    real = images.to(device) * 2 - 1
    order = itertools.islice(batches(len(real), config.batch_size, seed), game.step, None)
    while game.step < steps:
        play(game, real[next(order)])
        if report and every and game.shown % every < config.batch_size:
            report(game.shown, snapshot_of(game))
    return snapshot_of(game)


def play(game: Game, real: torch.Tensor) -> None:
    """One batch (B C R R) in [-1, 1]: a step of G, one of D, the penalty, the average, and p."""
    config, generator, discriminator = game.config, game.generator, game.discriminator
    random = stream(game.seed, 1 + game.step)

    def fakes(count: int, update: bool) -> torch.Tensor:
        z = torch.randn(count, config.z_dim, generator=random).to(game.device)
        pictures: torch.Tensor = generator(z, update=update)
        return pictures

    def judge(pictures: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = discriminator(augment(pictures, game.p, random))
        return logits

    parts = [(part, len(part) / len(real)) for part in real.chunk(config.batch_parts)]
    discriminator.requires_grad_(False)
    for part, share in parts:
        loss = generator_loss(judge(fakes(len(part), update=False)))
        (share * loss).backward()
    finish(game.generator_adam)

    discriminator.requires_grad_(True)
    for part, share in parts:
        with torch.no_grad():
            fake = fakes(len(part), update=True)
        logits = judge(part)
        (share * discriminator_loss(logits, judge(fake))).backward()
        game.signs += torch.tensor([logits.sign().sum().item(), len(part)])
    finish(game.discriminator_adam)

    if (
        config.gamma and game.step % config.r1_every == 0
    ):  # lazy: seldom, and so many times as strong
        for part, share in parts:
            penalty = gradient_penalty(judge, part, config.gamma)
            (share * config.r1_every * penalty).backward()
        finish(game.discriminator_adam)

    update_average(game.average, generator, average_decay(game.shown, config))
    game.step += 1
    if game.step % config.ada_every == 0:
        game.p = next_p(game.p, game.signs, config)
        game.signs.zero_()


def finish(optimiser: torch.optim.Optimizer) -> None:
    """A step with the gradients that were gathered, which are dropped."""
    optimiser.step()
    optimiser.zero_grad()


@torch.no_grad()
def sample(
    state: State, n: int, seed: int, psi: float = 1.0, device: torch.device | None = None
) -> Iterator[torch.Tensor]:
    """n pictures in [0, 1] of the averaged generator, on the CPU, in parts (B C R R): a large pool would fill memory.

    psi < 1 draws styles to their mean.
    """
    config, (channels, side) = settings(state)
    generator = Generator(config, side, channels)
    generator.load_state_dict(under(state, "average"))
    generator.to(device)
    z = torch.randn(n, config.z_dim, generator=stream(seed, 0))
    for part in z.split(16) if n else ():
        yield ((generator(part.to(device), psi).cpu() + 1) / 2).clamp(0, 1)
