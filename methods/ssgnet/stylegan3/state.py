"""What a training of StyleGAN3 carries from batch to batch, and the same as tensors (dossier, section 2a)."""

from __future__ import annotations

import copy
import json

import numpy as np
import torch
from torch import nn

from bench.errors import BenchError
from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3.discriminator import Discriminator
from methods.ssgnet.stylegan3.generator import Generator

State = dict[str, torch.Tensor]  # tensors alone, so that a snapshot can be a safetensors file
NETWORKS = ("generator", "discriminator", "average")
OPTIMISERS = ("generator_adam", "discriminator_adam")


class Game:
    """Both players, their optimisers, the averaged generator, and what the control of p has counted."""

    def __init__(
        self, config: GeneratorConfig, shape: tuple[int, int], seed: int, device: torch.device
    ) -> None:
        self.config, self.shape, self.seed, self.device = config, shape, seed, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = Generator(config, shape[1], shape[0]).to(device)
            self.discriminator = Discriminator(config, shape[1], shape[0]).to(device)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        # R1 is a step of its own: N + 1 steps where there were N, so that rate and memory shrink by N / (N + 1).
        lazy = config.r1_every / (config.r1_every + 1)
        self.generator_adam = adam(self.generator, config.generator_rate)
        self.discriminator_adam = adam(self.discriminator, config.discriminator_rate, lazy)
        self.step, self.p, self.signs = (
            0,
            0.0,
            torch.zeros(2),
        )  # signs of D on real images: sum and count

    @property
    def shown(self) -> int:
        """Real images so far."""
        return self.step * self.config.batch_size


def adam(network: nn.Module, rate: float, lazy: float = 1.0) -> torch.optim.Adam:
    """Adam without momentum; `lazy` is the share of its steps that are not regularisation."""
    return torch.optim.Adam(network.parameters(), rate * lazy, (0.0, 0.99**lazy), 1e-8)


def stream(seed: int, number: int) -> torch.Generator:
    """Random numbers that depend on seed and number alone: a resumed training needs no random state."""
    mixed = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(mixed[0] >> np.uint64(1)))


def average_decay(shown: int, config: GeneratorConfig) -> float:
    """Share of the old average that a batch keeps; the half-life is at most `average_ramp` of the images shown."""
    half_life = min(1000 * config.average_kimg, config.average_ramp * shown)
    return float(0.5 ** (config.batch_size / max(half_life, 1e-8)))


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Weights go 1 - decay of the way; running statistics are taken as they are."""
    weights, news = dict(network.named_parameters()), network.state_dict()
    for name, kept in average.state_dict().items():
        if name in weights:
            kept.lerp_(news[name], 1 - decay)
        else:
            kept.copy_(news[name])


def next_p(p: float, signs: torch.Tensor, config: GeneratorConfig) -> float:
    """The probability of augmentations after `ada_every` batches with this sum and count of signs."""
    total, count = signs.tolist()
    excess = total / count - config.ada_target
    step = config.batch_size * config.ada_every / (1000 * config.ada_kimg)
    return min(max(p + step * ((excess > 0) - (excess < 0)), 0.0), 1.0)


def snapshot_of(game: Game) -> State:
    """All that play and samples need, copied to the CPU."""
    state = {
        "config": torch.tensor(list(game.config.model_dump_json().encode()), dtype=torch.uint8),
        "shape": torch.tensor(game.shape),
        "seed": torch.tensor(game.seed),
        "step": torch.tensor(game.step),
        "p": torch.tensor(game.p, dtype=torch.float64),
        "signs": game.signs,
    }
    for name in NETWORKS:
        state |= {f"{name}.{key}": value for key, value in getattr(game, name).state_dict().items()}
    for name in OPTIMISERS:
        for index, slots in getattr(game, name).state_dict()["state"].items():
            state |= {f"{name}.{index}.{key}": value for key, value in slots.items()}
    return {key: value.detach().cpu().clone() for key, value in state.items()}


def restore(game: Game, state: State) -> None:
    """Take up a snapshot. Raises BenchError where it is of another training."""
    taken, wanted = (*settings(state), int(state["seed"])), (game.config, game.shape, game.seed)
    if taken != wanted:
        raise BenchError(
            f"snapshot is of {taken}, this training of {wanted}; give the same or leave the snapshot out"
        )
    game.step, game.p, game.signs = int(state["step"]), float(state["p"]), state["signs"].clone()
    for name in NETWORKS:
        getattr(game, name).load_state_dict(under(state, name))
    for name in OPTIMISERS:
        optimiser, slots = getattr(game, name), dict[int, State]()
        for key, value in under(state, name).items():
            index, slot = key.split(".")
            slots.setdefault(int(index), {})[slot] = value.clone()
        optimiser.load_state_dict(optimiser.state_dict() | {"state": slots})


def settings(state: State) -> tuple[GeneratorConfig, tuple[int, int]]:
    """The config, and channels and side of the pictures, of a snapshot."""
    channels, side = state["shape"].tolist()
    return GeneratorConfig(**json.loads(bytes(state["config"].tolist()))), (channels, side)


def under(state: State, name: str) -> State:
    """The part of a snapshot that has this name."""
    return {
        key.removeprefix(f"{name}."): value
        for key, value in state.items()
        if key.startswith(f"{name}.")
    }
