"""What a training of StyleGAN3 carries from batch to batch, and its snapshots as tensors.

See docs/methods/ssgnet.md#adversarial-training.
"""

from __future__ import annotations

import copy
import json

import numpy as np
import torch
from torch import nn

from bench.errors import BenchError
from methods.resume import State
from methods.ssgnet.config import GeneratorConfig
from methods.ssgnet.stylegan3.discriminator import Discriminator
from methods.ssgnet.stylegan3.generator import Generator
from methods.training import add_prefix, strip_prefix

NETWORKS = ("generator", "discriminator", "average")
OPTIMISERS = ("generator_adam", "discriminator_adam")


class AdversarialTraining:
    """Generator and discriminator, their optimisers, the averaged generator, and the control of p.

    `shape` is (channels, side) of the pictures, `dtype` that of convolutions.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        shape: tuple[int, int],
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
            self.generator = Generator(config, side, channels).to(device)
            self.discriminator = Discriminator(config, side, channels).to(device)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        # R1 is a step of its own: N + 1 steps where there were N, so that rate and memory shrink
        # by N / (N + 1).
        lazy = config.r1_every / (config.r1_every + 1)
        self.generator_adam = build_adam(self.generator, config.generator_rate)
        self.discriminator_adam = build_adam(self.discriminator, config.discriminator_rate, lazy)
        self.step = 0
        self.p = 0.0  # probability of augmentations
        # Of D on real images, since p last changed: sum and count. They stay on the device until
        # p changes again.
        self.signs = torch.zeros(2, device=device)

    @property
    def shown(self) -> int:
        """Number of real images shown so far."""
        return self.step * self.config.batch_size


def build_adam(network: nn.Module, rate: float, lazy: float = 1.0) -> torch.optim.Adam:
    """Adam without momentum; `lazy` is the share of its steps that are not regularisation."""
    return torch.optim.Adam(network.parameters(), rate * lazy, (0.0, 0.99**lazy), 1e-8, fused=True)


def seeded_generator(seed: int, number: int) -> torch.Generator:
    """Random numbers that depend only on seed and number, so that resuming needs no state."""
    mixed = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(mixed[0] >> np.uint64(1)))


def average_decay(shown: int, config: GeneratorConfig) -> float:
    """Share of the old average that a batch keeps.

    The half-life is at most `average_ramp` of the images shown.
    """
    half_life = min(1000 * config.average_kimg, config.average_ramp * shown)
    return float(0.5 ** (config.batch_size / max(half_life, 1e-8)))


def next_p(p: float, signs: torch.Tensor, config: GeneratorConfig) -> float:
    """The probability of augmentations after `ada_every` batches with this sum and count of signs.

    Source: docs/methods/ssgnet.md#adaptive-augmentation, eq. 5.
    """
    total, count = signs.tolist()
    excess = total / count - config.ada_target
    step = config.batch_size * config.ada_every / (1000 * config.ada_kimg)
    direction = (excess > 0) - (excess < 0)
    return min(max(p + step * direction, 0.0), 1.0)


def take_snapshot(training: AdversarialTraining) -> State:
    """Everything that resuming and drawing need, copied to the CPU."""
    config_text = training.config.model_dump_json(exclude={"kind"})
    state = {
        "config": torch.tensor(list(config_text.encode()), dtype=torch.uint8),
        "shape": torch.tensor(training.shape),
        "seed": torch.tensor(training.seed),
        "step": torch.tensor(training.step),
        "p": torch.tensor(training.p, dtype=torch.float64),
        "signs": training.signs,
    }
    for name in NETWORKS:
        state |= add_prefix(f"{name}.", getattr(training, name).state_dict())
    for name in OPTIMISERS:
        for index, slots in getattr(training, name).state_dict()["state"].items():
            state |= add_prefix(f"{name}.{index}.", slots)
    return {key: value.detach().cpu().clone() for key, value in state.items()}


def restore_snapshot(training: AdversarialTraining, state: State) -> None:
    """Continue from a snapshot. Raises BenchError if it belongs to another training."""
    config, shape = read_settings(state)
    given = (config, shape, int(state["seed"]))
    expected = (training.config, training.shape, training.seed)
    if given != expected:
        raise BenchError(
            f"snapshot is of {given}, this training of {expected}; "
            "give the same settings or leave the snapshot out"
        )
    training.step = int(state["step"])
    training.p = float(state["p"])
    training.signs = state["signs"].clone().to(training.device)
    for name in NETWORKS:
        getattr(training, name).load_state_dict(strip_prefix(f"{name}.", state))
    for name in OPTIMISERS:
        optimiser = getattr(training, name)
        slots: dict[int, State] = {}
        for key, value in strip_prefix(f"{name}.", state).items():
            index, slot = key.split(".")
            slots.setdefault(int(index), {})[slot] = value.clone()
        optimiser.load_state_dict(optimiser.state_dict() | {"state": slots})


def read_settings(state: State) -> tuple[GeneratorConfig, tuple[int, int]]:
    """The config, and channels and side of the pictures, of a snapshot."""
    channels, side = state["shape"].tolist()
    config_text = bytes(state["config"].tolist())
    return GeneratorConfig(**json.loads(config_text)), (channels, side)
