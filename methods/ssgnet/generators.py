"""The generators of SSGNet as shared parts, each with pictures of how it came on, and images drawn from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import torch
from torch.nn.functional import interpolate

from bench.api import Case, Run, Saved
from methods.ssgnet.config import Config, generator_settings
from methods.ssgnet.stylegan3.training import sample, train_generator

CURVE = 64  # images kept at each point of the curve
POINTS = 8  # of the curve, besides the untrained generator
State = dict[str, torch.Tensor]


def generator_of(cases: Sequence[Case], config: Config, run: Run, label: int | None) -> State:
    """The generator of these images, whoever asks for it; `label` is that of all of them, None where they are mixed."""
    cases, side, size = sorted(cases, key=lambda case: case.id), config.resolution, run.spec.size
    named = {} if label is None else {"label": torch.tensor(label)}

    def build(seed: int, saved: Saved) -> State:
        images = torch.stack(
            [resized(torch.from_numpy(case.image)[None], (side, side))[0] for case in cases]
        )
        steps = max(1, round(1000 * config.kimg / config.generator.batch_size))
        curve = {
            name: value for name, value in (saved.last or {}).items() if name.startswith("curve/")
        }

        def note(shown: int, state: State) -> None:
            pictures = resized(torch.cat(list(sample(state, CURVE, 0, device=run.device))), size)
            curve[f"curve/{shown}"] = (255 * pictures).round().to(torch.uint8)
            saved.keep({**state, **curve})

        start = None if saved.last is None else without_curve(saved.last)
        if start is None:
            note(0, train_generator(images, config.generator, 0, seed, run.device))
        every = max(config.generator.batch_size, round(1000 * config.kimg / POINTS))
        state = train_generator(
            images, config.generator, steps, seed, run.device, start, every, note
        )
        if f"curve/{steps * config.generator.batch_size}" not in curve:
            note(steps * config.generator.batch_size, state)
        return {**state, **curve, **named}

    settings = {**generator_settings(config), "spec": asdict(run.spec), "label": label}
    return run.part("ssgnet stylegan3", settings, [case.id for case in cases], build)


def drawn(
    generator: State, n: int, seed: int, config: Config, size: tuple[int, ...], device: torch.device
) -> Iterator[torch.Tensor]:
    """n images (C H W) on the training grid."""
    for images in sample(without_curve(generator), n, seed, config.psi, device):
        yield from resized(images, size)


def needed(generator: State) -> State:
    """The part of a generator that draws: its average."""
    return {
        name: value
        for name, value in generator.items()
        if name in ("config", "shape") or name[:8] == "average."
    }


def resized(images: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Images (B C H W) on another grid, bilinear, antialiased when it shrinks."""
    if images.shape[2:] == torch.Size(size):
        return images
    return interpolate(
        images, size=size, mode="bilinear", antialias=True, align_corners=False
    ).clamp(0, 1)


def without_curve(state: State) -> State:
    """The snapshot alone."""
    return {
        name: value
        for name, value in state.items()
        if not name.startswith("curve/") and name != "label"
    }
