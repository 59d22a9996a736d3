"""SMILE (after Du et al. 2021), reconstructed from its abstract and the code of its predecessors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import one_hot

from bench.api import Case, Method, Run, Spec, TrainView
from bench.errors import BenchError
from methods.smile.adversarial import play
from methods.smile.config import Config
from methods.smile.losses import code, contrast_of
from methods.smile.networks import Generator, Reconstructor
from methods.smile.reference import Identity, Inpainting
from methods.training import probabilities, train_supervised

BATCH = 16  # synthetic images made at once
NETWORKS = ("segmentor", "generator", "reconstructor", "augmented")
SOURCES = ("bases", "masks", "contrasts")  # of synthetic images


class SMILE:
    """Takes lesions out of images; puts transplanted ones into normal images, on which the shared segmenter learns."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.segmentor: nn.Module
        self.generator: nn.Module
        self.reconstructor: nn.Module
        self.augmented: nn.Module
        self.bases: torch.Tensor  # N C H W uint8: images that are given a lesion
        self.masks: torch.Tensor  # M H W uint8: of labelled images with a lesion
        self.contrasts: torch.Tensor  # M K-1 C: of these lesions with the tissue around
        self.facts: dict[str, str] = {}
        self.segmenter_steps = 0

    def fit(self, view: TrainView, run: Run) -> None:
        """T steps on labels (stage 1), T of the game (stage 2), T of the shared segmenter on real and synthetic."""
        config, self.segmenter_steps = self.config, 3 * run.steps
        lesions = [case for case in view.fit if has_lesion(case)]
        if not lesions:
            raise BenchError(
                f"{len(view.fit)} labelled images without a lesion given; smile needs one with a lesion"
            )
        others = view.unlabelled if config.unlabelled else []
        # The harness may show labels of the others. One is normal if it is known from images without a lesion alone.
        without = normal_labels(view.fit)
        known = [case for case in others if case.label in without]
        normals = [*(case for case in view.fit if not has_lesion(case)), *known]
        hidden = [case for case in others if case.label not in without]
        self._build(run)
        self._keep_sources(normals or lesions, lesions, run.device)
        self.facts = self._facts(lesions, hidden, normals)
        train_supervised(self.segmentor, view.fit, run, config)
        play(
            self.segmentor,
            self.generator,
            self.reconstructor,
            view.fit,
            hidden,
            normals,
            config,
            run,
        )
        synthetic = list(
            self.synthesise(
                config.synthetic_per_image * len(view.fit), run.seed("synthetic samples")
            )
        )
        train_supervised(self.augmented, [*view.fit, *synthetic], run, config)

    def _build(self, run: Run) -> None:
        """All networks, at their start."""
        config, spec = self.config, self.spec
        self.segmentor, self.augmented = (
            run.backbone().to(run.device),
            run.backbone().to(run.device),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed("generator"))
            generator = Generator(
                spec.channels,
                config.generator_width,
                config.generator_blocks,
                config.change,
                config.background,
            )
            lesions = (spec.classes - 1) * (
                1 if config.lesion_code == "mask" else 1 + spec.channels
            )
            width, blocks = config.reconstructor_width, config.reconstructor_blocks
            reconstructor = Reconstructor(spec.channels, lesions, width, blocks)
        self.generator, self.reconstructor = generator.to(run.device), reconstructor.to(run.device)

    def _keep_sources(
        self, bases: Sequence[Case], lesions: Sequence[Case], device: torch.device
    ) -> None:
        """What synthetic images are made of, in 8 bits, so that a saved model makes the same ones."""
        images = np.stack([np.rint(255 * case.image.clip(0, 1)).astype(np.uint8) for case in bases])
        masks = np.stack([np.asarray(case.mask, np.uint8) for case in lesions])
        self.bases, self.masks = (
            torch.from_numpy(images).to(device),
            torch.from_numpy(masks).to(device),
        )
        donors = torch.from_numpy(np.stack([case.image for case in lesions])).to(device)
        self.contrasts = contrast_of(donors, self._maps(self.masks), self.config.background)

    def _maps(self, masks: torch.Tensor) -> torch.Tensor:
        return one_hot(masks.long(), self.spec.classes).movedim(-1, 1)[:, 1:].float()

    def _facts(
        self, lesions: Sequence[Case], hidden: Sequence[Case], normals: Sequence[Case]
    ) -> dict[str, str]:
        weight = self.config.critic_weight
        critic = (
            "off: no normal image among the labelled"
            if not normals
            else f"on: {len(normals)} normal images"
        )
        return {
            "critic": critic if weight else "off: its weight is 0",
            "images without masks": str(len(hidden)),
            "synthetic images": f"{len(lesions)} masks on {'normal' if normals else 'normalised abnormal'} images",
        }

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K H W) of images (B C H W) by the moving average of the segmentor."""
        return probabilities(self.segmentor, images)

    def segment_augmented(self, images: torch.Tensor) -> torch.Tensor:
        """The same by the shared segmenter trained on real and synthetic images."""
        return probabilities(self.augmented, images)

    @torch.no_grad()
    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Pseudo-normal images (B C H W) in [0, 1] of images (B C H W)."""
        result: torch.Tensor = self.generator(images)
        return result.clamp(0, 1)

    @torch.no_grad()
    def synthesise(self, n: int, seed: int) -> Iterator[Case]:
        """n abnormal images R(G(x), m'): x a normal image where there is one, m' the mask of some labelled image."""
        random = torch.Generator().manual_seed(seed)
        for first in range(0, n, BATCH):
            count = min(BATCH, n - first)
            base, donor = (
                torch.randint(len(pool), (count,), generator=random)
                for pool in (self.bases, self.masks)
            )
            masks, contrast = self.masks[donor], self.contrasts[donor]
            lesions = code(
                self._maps(masks), contrast if self.config.lesion_code == "contrast" else None
            )
            images = self.reconstructor(
                self.generator(self.bases[base].float() / 255), lesions
            ).clamp(0, 1)
            pairs = zip(images.cpu().numpy(), masks.cpu().numpy().astype(np.int64), strict=True)
            for number, (image, mask) in enumerate(pairs, start=first):
                yield Case(f"synthetic_{number}", "", image, mask)

    def state(self) -> dict[str, torch.Tensor]:
        """The weights of all networks but the critic, and what synthetic images are made of."""
        found = {f"sources/{name}": getattr(self, name) for name in SOURCES}
        for name in NETWORKS:
            found |= {
                f"{name}/{key}": value for key, value in getattr(self, name).state_dict().items()
            }
        return found

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        """Fill fresh networks."""
        self._build(run)
        for name in SOURCES:
            setattr(self, name, state[f"sources/{name}"].to(run.device))
        for name in NETWORKS:
            held = {
                key.removeprefix(f"{name}/"): value
                for key, value in state.items()
                if key.startswith(f"{name}/")
            }
            getattr(self, name).load_state_dict(held)


def has_lesion(case: Case) -> bool:
    """Whether a labelled image shows a lesion."""
    return case.mask is not None and bool(case.mask.any())


def normal_labels(cases: Sequence[Case]) -> set[int]:
    """The labels that labelled images have where they show no lesion, and never where they show one."""
    labels: dict[bool, set[int]] = {True: set(), False: set()}
    for case in cases:
        if case.label is not None:
            labels[has_lesion(case)].add(case.label)
    return labels[False] - labels[True]


def smile(config: Config, spec: Spec) -> Method:
    """The method, or one of its reference points, which offer less."""
    if config.mode == "identity":
        return Identity(config, spec)
    return Inpainting(config, spec) if config.mode == "inpaint" else SMILE(config, spec)


METHOD = smile
