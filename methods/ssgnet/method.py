"""SSGNet (Ma et al. 2025): StyleGAN3 images extend the training set, labelled in rounds or by their generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from bench.api import Case, Run, Spec, TrainView
from methods.ssgnet.config import Config
from methods.ssgnet.generators import State, drawn, generator_of, needed
from methods.ssgnet.t_vmf import adaptive_kappa, t_vmf_dice_loss
from methods.training import class_dice, probabilities, segmentation_loss, train_supervised

BATCH = 32
MIXED = -1  # the key of a generator of all images


class SSGNet:
    """Generators of the training images; their images are labelled by the segmenter, or by the class they are of."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.network: nn.Module
        self.generators: dict[int, State] = {}
        self.facts: dict[str, str] = {}
        self.segmenter_steps = 0

    def fit(self, view: TrainView, run: Run) -> None:
        """The images' generators, then training on real and synthetic images (section 4)."""
        cases = [*view.fit, *view.unlabelled]
        known = [case for case in cases if case.label is not None]
        if self.spec.task == "classification" or len(known) == len(cases):
            labels = sorted({case.label for case in known if case.label is not None})
            for label in labels:
                same = [case for case in known if case.label == label]
                self.generators[label] = generator_of(same, self.config, run, label)
                self.facts[f"generator of label {label}"] = f"{len(same)} images"
        else:
            self.generators[MIXED] = generator_of(cases, self.config, run, None)
        if self.spec.task == "classification":
            self._fit_labels(view.fit, run)
        else:
            self._fit_masks(view.fit, run)

    def _fit_masks(self, real: Sequence[Case], run: Run) -> None:
        """1 + rounds segmenters from scratch, T steps each; the pool stays, its masks are those of the last one."""
        pool = [case.image for case in self._drawn(self.config.pool, run.seed("pool"), run.device)]
        self._train(real, run)
        for number in range(self.config.rounds):
            labelled = self._labelled([torch.from_numpy(image) for image in pool])
            self.facts[f"round {number + 1}"] = f"{len(labelled)} of {len(pool)} synthetic images"
            self._train([*real, *labelled], run)

    def _fit_labels(self, real: Sequence[Case], run: Run) -> None:
        """One classifier on real images and as many synthetic ones of each label as section 4 says."""
        counts = {label: sum(case.label == label for case in real) for label in self.generators}
        synthetic: list[Case] = []
        for label, more in wanted(counts, self.config.extra).items():
            images = drawn(
                self.generators[label],
                more,
                run.seed(f"pool {label}"),
                self.config,
                self.spec.size,
                run.device,
            )
            synthetic += [
                Case(f"synthetic_{label}_{i}", "", image.numpy(), None, label)
                for i, image in enumerate(images)
            ]
            self.facts[f"synthetic of label {label}"] = f"{more} beside {counts[label]} real"
        self.network = run.backbone()
        train_supervised(self.network, [*real, *synthetic], run, self.config)
        self.segmenter_steps = run.steps

    def _drawn(self, n: int, seed: int, device: torch.device) -> Iterator[Case]:
        """n images, as many of each generator as of the others."""
        size, number = self.spec.size, 0
        for place, (label, generator) in enumerate(sorted(self.generators.items())):
            share = n // len(self.generators) + (place < n % len(self.generators))
            for image in drawn(generator, share, seed + place, self.config, size, device):
                name = f"sample_{number}"
                yield Case(name, name, image.numpy(), None, None if label == MIXED else label)
                number += 1

    @torch.no_grad()
    def _labelled(self, pool: Sequence[torch.Tensor]) -> list[Case]:
        """The pool with the classes that the segmenter sees; unsure images are left out, if a confidence is set."""
        device, cases = next(self.network.parameters()).device, []
        for first in range(0, len(pool), BATCH):
            found = probabilities(
                self.network, torch.stack(list(pool[first : first + BATCH])).to(device)
            )
            sure = found.amax(1).mean(tuple(range(1, found.ndim - 1)))
            for place, (labels, confidence) in enumerate(
                zip(found.argmax(1).cpu().numpy(), sure, strict=True)
            ):
                if confidence >= self.config.confidence:
                    name = f"synthetic_{first + place}"
                    cases.append(
                        Case(name, name, pool[first + place].numpy(), labels.astype(np.int64))
                    )
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

        train_supervised(self.network, cases, run, self.config, loss)
        self.segmenter_steps += run.steps

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K H W) of images (B C H W) by the last segmenter."""
        return probabilities(self.network, images)

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K) of images (B C H W)."""
        return probabilities(self.network, images)

    def synthesise(self, n: int, seed: int) -> Iterator[Case]:
        """n generated images with the masks of the last segmenter, or the labels of their generators."""
        device = next(self.network.parameters()).device
        for case in self._drawn(n, seed, device):
            if self.spec.task == "classification":
                yield case
            else:
                image = torch.from_numpy(case.image)[None].to(device)
                mask = (
                    probabilities(self.network, image).argmax(1)[0].cpu().numpy().astype(np.int64)
                )
                yield replace(case, mask=mask)

    def state(self) -> State:
        """The weights of the network that predicts, and of the averaged generators."""
        state = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        for label, generator in self.generators.items():
            state |= {
                f"generator {label}/{name}": value for name, value in needed(generator).items()
            }
        return state

    def load(self, state: State, run: Run) -> None:
        """Fill a fresh backbone, and take up the generators."""
        self.network = run.backbone().to(run.device)
        self.network.load_state_dict(_below(state, "network/"))
        prefixes = {name.partition("/")[0] for name in state if name.startswith("generator ")}
        self.generators = {
            int(prefix.split()[1]): _below(state, f"{prefix}/") for prefix in prefixes
        }


def wanted(counts: Mapping[int, int], extra: float) -> dict[int, int]:
    """Synthetic images of each label: up to the largest label, and int(extra x largest) more (section 4)."""
    largest = max(counts.values())
    return {label: largest - count + int(extra * largest) for label, count in counts.items()}


def _below(state: State, prefix: str) -> State:
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


METHOD = SSGNet
