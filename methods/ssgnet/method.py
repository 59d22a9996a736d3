"""SSGNet (Ma et al. 2025): StyleGAN3 images extend the training set.

Their masks come from the segmenter, in rounds, their labels from the generator of a label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from bench.api import Case, Run, Spec, TrainView
from methods.ssgnet.config import Config
from methods.ssgnet.generators import State, averaged_part, draw_images, shared_generator
from methods.ssgnet.t_vmf import TvmfDiceLoss
from methods.training import (
    BackboneMethod,
    Loss,
    add_prefix,
    mixed_batches,
    mixture_fact,
    probabilities,
    segmentation_loss,
    strip_prefix,
    task_loss,
    train_supervised,
)

BATCH = 32  # images of the pool labelled at once
MIXED = -1  # the key of a generator of all images


class SSGNet(BackboneMethod):
    """Trains on real images and on generated ones, which the segmenter or their class labels.

    The segmenter of the last round predicts.
    """

    config: Config

    def __init__(self, config: Config, spec: Spec) -> None:
        super().__init__(config, spec)
        self.generators: dict[int, State] = {}
        self.facts: dict[str, str] = {}
        self.segmenter_steps = 0

    def fit(self, view: TrainView, run: Run) -> None:
        """Train the generators of the images, then the segmenter or the classifier."""
        cases = [*view.fit, *view.unlabelled]
        known = [case for case in cases if case.label is not None]
        if self.spec.task == "classification" or len(known) == len(cases):
            self._fit_generators(known, run)
        else:
            self.generators[MIXED] = shared_generator(cases, self.config, run, None)
        if self.spec.task == "classification":
            self._fit_classifier(view.fit, run)
        else:
            self._fit_segmenter(view.fit, run)

    def _fit_generators(self, known: Sequence[Case], run: Run) -> None:
        """One generator for each label."""
        labels = sorted({case.label for case in known if case.label is not None})
        for label in labels:
            cases = [case for case in known if case.label == label]
            self.generators[label] = shared_generator(cases, self.config, run, label)
            self.facts[f"generator of label {label}"] = f"{len(cases)} images"

    def _fit_segmenter(self, real: Sequence[Case], run: Run) -> None:
        """1 + `rounds` segmenters from scratch, T steps each (docs/methods/ssgnet.md#rounds).

        The pool stays; its masks are those of the previous segmenter.
        """
        drawn = self._draw_cases(self.config.pool, run.seed("pool"), run.device)
        pool = [case.image for case in drawn]
        self._train_segmenter(real, [], run)
        for number in range(1, self.config.rounds + 1):
            labelled = self._label_pool([torch.from_numpy(image) for image in pool])
            self.facts[f"round {number}"] = f"{len(labelled)} of {len(pool)} synthetic images"
            self._train_segmenter(real, labelled, run)

    def _fit_classifier(self, real: Sequence[Case], run: Run) -> None:
        """One classifier on real and synthetic images (docs/methods/ssgnet.md#classification)."""
        counts: dict[int, int] = {}
        for label in self.generators:
            counts[label] = sum(case.label == label for case in real)
        synthetic: list[Case] = []
        for label, count in synthetic_counts(counts, self.config.extra).items():
            synthetic += self._draw_label(label, count, run)
            self.facts[f"synthetic of label {label}"] = f"{count} beside {counts[label]} real"
        self.network = run.backbone()
        self._train(real, synthetic, run, task_loss(self.spec.task))
        self.segmenter_steps = run.steps

    def _draw_label(self, label: int, count: int, run: Run) -> list[Case]:
        """`count` images of the generator of a label."""
        generator = self.generators[label]
        seed = run.seed(f"pool {label}")
        images = draw_images(generator, count, seed, self.config, self.spec.size, run.device)
        cases: list[Case] = []
        for number, image in enumerate(images):
            cases.append(Case(f"synthetic_{label}_{number}", "", image.numpy(), None, label))
        return cases

    def _draw_cases(self, n: int, seed: int, device: torch.device) -> Iterator[Case]:
        """n images, shared out evenly over the generators."""
        size = self.spec.size
        number = 0
        share, remainder = divmod(n, len(self.generators))
        for position, (label, generator) in enumerate(sorted(self.generators.items())):
            count = share + (position < remainder)
            shown_label = None if label == MIXED else label
            images = draw_images(generator, count, seed + position, self.config, size, device)
            for image in images:
                name = f"sample_{number}"
                yield Case(name, name, image.numpy(), None, shown_label)
                number += 1

    @torch.no_grad()
    def _label_pool(self, pool: Sequence[torch.Tensor]) -> list[Case]:
        """The pool with masks predicted by the segmenter.

        If a confidence is set, images below it are left out.
        """
        device = next(self.network.parameters()).device
        cases: list[Case] = []
        for start in range(0, len(pool), BATCH):
            images = pool[start : start + BATCH]
            predicted = probabilities(self.network, torch.stack(list(images)).to(device))
            pixels = tuple(range(1, predicted.ndim - 1))
            confidences = predicted.amax(1).mean(pixels)
            masks = predicted.argmax(1).cpu().numpy().astype(np.int64)
            for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
                if confidences[number] >= self.config.confidence:
                    name = f"synthetic_{start + number}"
                    cases.append(Case(name, name, image.numpy(), mask))
        return cases

    def _train_segmenter(self, real: Sequence[Case], synthetic: Sequence[Case], run: Run) -> None:
        """A fresh segmenter on these cases."""
        self.network = run.backbone()
        loss = self._segmenter_loss(len(real) + len(synthetic), run.device)
        self._train(real, synthetic, run, loss)
        self.segmenter_steps += run.steps

    def _train(self, real: Sequence[Case], synthetic: Sequence[Case], run: Run, loss: Loss) -> None:
        """T steps on one pool of all cases, or on batches with a fixed share of real ones."""
        cases = [*real, *synthetic]
        share = self.config.real_share
        if share is None or not synthetic:
            train_supervised(self.network, cases, run, self.config, loss)
        else:
            labelled = mixed_batches(real, synthetic, run, self.config, share)
            self.facts["mixture"] = mixture_fact(share, self.config)
            train_supervised(self.network, cases, run, self.config, loss, labelled)

    def _segmenter_loss(self, cases: int, device: torch.device) -> Loss:
        if self.config.loss == "suite":
            return segmentation_loss
        epoch = max(1, cases // self.config.batch_size)
        adaptive = self.config.loss == "adaptive_t_vmf"
        return TvmfDiceLoss(self.spec.classes, epoch, adaptive, device)

    def synthesise(self, n: int, seed: int) -> Iterator[Case]:
        """n generated images with the masks of the last segmenter, or their generators' labels."""
        device = next(self.network.parameters()).device
        for case in self._draw_cases(n, seed, device):
            if self.spec.task == "classification":
                yield case
            else:
                image = torch.from_numpy(case.image)[None].to(device)
                mask = probabilities(self.network, image).argmax(1)[0]
                yield replace(case, mask=mask.cpu().numpy().astype(np.int64))

    def state(self) -> State:
        """The weights of the network that predicts, and of the averaged generators."""
        state = add_prefix("network/", self.network.state_dict())
        for label, generator in self.generators.items():
            state |= add_prefix(f"generator {label}/", averaged_part(generator))
        return state

    def load(self, state: State, run: Run) -> None:
        """Fill a fresh backbone and restore the generators."""
        self.network = run.backbone().to(run.device)
        self.network.load_state_dict(strip_prefix("network/", state))
        prefixes = {name.partition("/")[0] for name in state if name.startswith("generator ")}
        self.generators = {}
        for prefix in sorted(prefixes):
            label = int(prefix.removeprefix("generator "))
            self.generators[label] = strip_prefix(f"{prefix}/", state)


def synthetic_counts(counts: Mapping[int, int], extra: float) -> dict[int, int]:
    """Synthetic images of each label: up to the largest label, and int(extra x largest) more.

    Source: docs/methods/ssgnet.md#classification.
    """
    largest = max(counts.values())
    return {label: largest - count + int(extra * largest) for label, count in counts.items()}


METHOD = SSGNet
