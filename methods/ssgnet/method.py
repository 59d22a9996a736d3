"""SSGNet (Ma et al. 2025): StyleGAN3 images, labelled by the segmenter itself in rounds, train it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from bench.api import Case, Run, Saved, Spec, TrainView
from methods.ssgnet.config import Config, generator_settings
from methods.ssgnet.losses import adaptive_kappa, t_vmf_dice_loss
from methods.ssgnet.train import sample, train_generator
from methods.training import class_dice, probabilities, segmentation_loss, train_segmenter

BATCH = 32
CURVE = 64  # images kept at each point of the curve
POINTS = 8  # of the curve, besides the untrained generator
State = dict[str, torch.Tensor]


class SSGNet:
    """A generator of the training images gives a pool; its masks come from the segmenter of the round before."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.network: nn.Module
        self.generator: State
        self.facts: dict[str, str] = {}
        self.segmenter_steps = 0

    def fit(self, view: TrainView, run: Run) -> None:
        """One generator on all training images; then 1 + rounds segmenters from scratch, T steps each (section 4)."""
        config = self.config
        cases = sorted([*view.fit, *view.unlabelled], key=lambda case: case.id)
        self.generator = self._generator(cases, run)
        pool = list(self._pool(config.pool, run.seed("pool"), run.device))
        self._train(view.fit, run)
        for number in range(config.rounds):
            labelled = self._labelled(pool)
            self.facts[f"round {number + 1}"] = f"{len(labelled)} of {len(pool)} synthetic images"
            self._train([*view.fit, *labelled], run)

    def _generator(self, cases: Sequence[Case], run: Run) -> State:
        """The generator of these images, whoever asks for it: neither masks nor budget nor subset play a part."""
        config, side = self.config, self.config.resolution

        def build(seed: int, saved: Saved) -> State:
            images = torch.stack([_square(torch.from_numpy(case.image), side) for case in cases])
            steps = max(1, round(1000 * config.kimg / config.generator.batch_size))
            curve = {name: value for name, value in (saved.last or {}).items() if name.startswith("curve/")}

            def note(shown: int, state: State) -> None:
                images = _resized(sample(state, CURVE, 0, device=run.device), self.spec.size)
                curve[f"curve/{shown}"] = (255 * images).round().to(torch.uint8)
                saved.keep({**state, **curve})

            start = None if saved.last is None else _without(saved.last, "curve/")
            if start is None:
                note(0, train_generator(images, config.generator, 0, seed, run.device))
            every = max(config.generator.batch_size, round(1000 * config.kimg / POINTS))
            state = train_generator(images, config.generator, steps, seed, run.device, start, every, note)
            if f"curve/{steps * config.generator.batch_size}" not in curve:
                note(steps * config.generator.batch_size, state)
            return {**state, **curve}

        settings = {**generator_settings(config), "spec": asdict(self.spec)}
        return run.part("ssgnet stylegan3", settings, [case.id for case in cases], build)

    def _pool(self, n: int, seed: int, device: torch.device) -> Iterator[torch.Tensor]:
        """n images (C H W) on the training grid."""
        for image in sample(_without(self.generator, "curve/"), n, seed, self.config.psi, device):
            yield _resized(image[None], self.spec.size)[0]

    @torch.no_grad()
    def _labelled(self, pool: Sequence[torch.Tensor]) -> list[Case]:
        """The pool with the classes that the segmenter sees; unsure images are left out, if a confidence is set."""
        device, cases = next(self.network.parameters()).device, []
        for first in range(0, len(pool), BATCH):
            found = probabilities(self.network, torch.stack(list(pool[first : first + BATCH])).to(device))
            sure = found.amax(1).mean(tuple(range(1, found.ndim - 1)))
            for place, (labels, confidence) in enumerate(zip(found.argmax(1).cpu().numpy(), sure, strict=True)):
                if confidence >= self.config.confidence:
                    name = f"synthetic_{first + place}"
                    cases.append(Case(name, name, pool[first + place].numpy(), labels.astype(np.int64)))
        return cases

    def _train(self, cases: Sequence[Case], run: Run) -> None:
        """A fresh segmenter on these cases with the loss that the config names (section 2b)."""
        self.network = run.backbone()
        kappa = torch.zeros(self.spec.classes, device=run.device)
        epoch = max(1, len(cases) // self.config.batch_size)
        seen = 0

        def loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
            nonlocal kappa, seen
            if self.config.loss == "suite":
                return segmentation_loss(logits, masks)
            p = logits.float().softmax(1)
            seen += 1
            if self.config.loss == "t_vmf":
                kappa = torch.full_like(kappa, 32.0)
            elif seen % epoch == 0:
                kappa = adaptive_kappa(class_dice(p.detach(), masks))
            return t_vmf_dice_loss(p, masks, kappa)

        train_segmenter(self.network, cases, run, self.config, loss)
        self.segmenter_steps += run.steps

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K H W) of images (B C H W) by the last segmenter."""
        return probabilities(self.network, images)

    def synthesise(self, n: int, seed: int) -> Iterator[Case]:
        """n generated images with the masks of the last segmenter."""
        device = next(self.network.parameters()).device
        for number, image in enumerate(self._pool(n, seed, device)):
            labels = probabilities(self.network, image[None].to(device)).argmax(1)[0]
            yield Case(f"sample_{number}", "", image.numpy(), labels.cpu().numpy().astype(np.int64))

    def state(self) -> State:
        """The weights of the segmenter, and of the averaged generator."""
        segmenter = {f"segmenter/{name}": value for name, value in self.network.state_dict().items()}
        needed = {name: self.generator[name] for name in ("config", "shape")}
        needed |= {name: value for name, value in self.generator.items() if name.startswith("average.")}
        return {**segmenter, **{f"generator/{name}": value for name, value in needed.items()}}

    def load(self, state: State, run: Run) -> None:
        """Fill a fresh backbone, and take up the generator."""
        self.network = run.backbone().to(run.device)
        self.network.load_state_dict(_below(state, "segmenter/"))
        self.generator = _below(state, "generator/")


def _square(image: torch.Tensor, side: int) -> torch.Tensor:
    return _resized(image[None], (side, side))[0]


def _resized(images: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Images (B C H W) on another grid, bilinear, antialiased when it shrinks."""
    if images.shape[2:] == torch.Size(size):
        return images
    return interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def _below(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _without(state: State, prefix: str) -> State:
    return {name: value for name, value in state.items() if not name.startswith(prefix)}


METHOD = SSGNet
