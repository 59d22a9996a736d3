"""SMILE (after Du et al. 2021), reconstructed from its abstract and its predecessors' code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import one_hot

from bench.api import Case, Method, Run, Spec, TrainView
from bench.errors import BenchError
from methods.smile.adversarial import train_adversarially
from methods.smile.config import Config
from methods.smile.losses import encode_lesions, lesion_contrast
from methods.smile.networks import Generator, Reconstructor
from methods.smile.reference import Identity, Reference
from methods.training import add_prefix, probabilities, strip_prefix, train_supervised

BATCH = 16  # synthetic images made at once


class SMILE:
    """Removes lesions from images, and puts them into normal images to train the segmenter on."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config = config
        self.spec = spec
        self.lesion_segmenter: nn.Module
        self.generator: nn.Module
        self.reconstructor: nn.Module
        self.augmented_segmenter: nn.Module
        self.recipients: torch.Tensor  # N C H W uint8: images that lesions are put into
        self.masks: torch.Tensor  # M H W uint8: of labelled images with a lesion
        self.contrasts: torch.Tensor  # M K-1 C: of these lesions with the tissue around them
        self.facts: dict[str, str] = {}
        self.segmenter_steps = 0

    def fit(self, view: TrainView, run: Run) -> None:
        """Three stages of T steps each (docs/methods/smile.md#adversarial-training).

        The lesion segmenter on labels, the adversarial training, and the shared segmenter on real
        and synthetic images.
        """
        config = self.config
        self.segmenter_steps = 3 * run.steps
        lesions = [case for case in view.fit if has_lesion(case)]
        if not lesions:
            raise BenchError(
                f"{len(view.fit)} labelled images without a lesion given; "
                "smile needs one with a lesion"
            )
        others = view.unlabelled if config.unlabelled else []
        # A suite may show labels of these images. A label means normal if no labelled image with
        # a lesion has it.
        normal = normal_labels(view.fit)
        normals = [case for case in view.fit if not has_lesion(case)]
        normals += [case for case in others if case.label in normal]
        hidden = [case for case in others if case.label not in normal]
        self._build_networks(run)
        self._keep_sources(normals or lesions, lesions, run.device)
        self.facts = self._facts(lesions, hidden, normals)
        train_supervised(self.lesion_segmenter, view.fit, run, config)
        train_adversarially(
            self.lesion_segmenter,
            self.generator,
            self.reconstructor,
            view.fit,
            hidden,
            normals,
            config,
            run,
        )
        count = config.synthetic_per_image * len(view.fit)
        synthetic = list(self.synthesise(count, run.seed("synthetic samples")))
        train_supervised(self.augmented_segmenter, [*view.fit, *synthetic], run, config)

    def _build_networks(self, run: Run) -> None:
        """All networks, untrained."""
        config = self.config
        channels = self.spec.channels
        self.lesion_segmenter = run.backbone().to(run.device)
        self.augmented_segmenter = run.backbone().to(run.device)
        lesion_maps = self.spec.classes - 1
        if config.lesion_code == "contrast":
            lesion_maps *= 1 + channels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed("generator"))
            generator = Generator(
                channels,
                config.generator_width,
                config.generator_blocks,
                config.change,
                config.background,
            )
            reconstructor = Reconstructor(
                channels, lesion_maps, config.reconstructor_width, config.reconstructor_blocks
            )
        # Channels last, as convolutions on a CPU and on a GPU take them fastest.
        self.generator = generator.to(run.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.reconstructor = reconstructor.to(run.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _keep_sources(
        self, recipients: Sequence[Case], lesions: Sequence[Case], device: torch.device
    ) -> None:
        """Keep what synthetic images are made of, in 8 bits.

        A model that is loaded from a file then makes the same ones.
        """
        images = np.stack([to_8_bits(case) for case in recipients])
        masks = np.stack([np.asarray(case.mask, np.uint8) for case in lesions])
        donors = np.stack([case.image for case in lesions])
        self.recipients = torch.from_numpy(images).to(device)
        self.masks = torch.from_numpy(masks).to(device)
        self.contrasts = lesion_contrast(
            torch.from_numpy(donors).to(device),
            self._lesion_maps(self.masks),
            self.config.background,
        )

    def _lesion_maps(self, masks: torch.Tensor) -> torch.Tensor:
        """Maps (B K-1 H W) of the foreground classes of masks (B H W)."""
        return one_hot(masks.long(), self.spec.classes).movedim(-1, 1)[:, 1:].float()

    def _facts(
        self, lesions: Sequence[Case], hidden: Sequence[Case], normals: Sequence[Case]
    ) -> dict[str, str]:
        critic = f"on: {len(normals)} normal images"
        if not normals:
            critic = "off: no normal image among the labelled"
        if not self.config.critic_weight:
            critic = "off: its weight is 0"
        recipients = "normal" if normals else "normalised abnormal"
        return {
            "critic": critic,
            "images without masks": str(len(hidden)),
            "synthetic images": f"{len(lesions)} masks on {recipients} images",
        }

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K H W) of images (B C H W) by the averaged lesion segmenter."""
        return probabilities(self.lesion_segmenter, images)

    def segment_augmented(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K H W) by the shared segmenter, trained on real and synthetic images."""
        return probabilities(self.augmented_segmenter, images)

    @torch.no_grad()
    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Pseudo-healthy images (B C H W) in [0, 1] of images (B C H W)."""
        pseudo_healthy: torch.Tensor = self.generator(images)
        return pseudo_healthy.clamp(0, 1)

    @torch.no_grad()
    def synthesise(self, n: int, seed: int) -> Iterator[Case]:
        """n abnormal images R(G(x), m') with the mask m' of some labelled image.

        x is a normal image if there is any (docs/methods/smile.md#synthetic-images).
        """
        random = torch.Generator().manual_seed(seed)
        for first in range(0, n, BATCH):
            count = min(BATCH, n - first)
            recipient = torch.randint(len(self.recipients), (count,), generator=random)
            donor = torch.randint(len(self.masks), (count,), generator=random)
            masks = self.masks[donor]
            contrast: torch.Tensor | None = None
            if self.config.lesion_code == "contrast":
                contrast = self.contrasts[donor]
            lesions = encode_lesions(self._lesion_maps(masks), contrast)
            healthy = self.generator(self.recipients[recipient].float() / 255)
            images = self.reconstructor(healthy, lesions).clamp(0, 1).cpu().numpy()
            labels = masks.cpu().numpy().astype(np.int64)
            for number, (image, mask) in enumerate(zip(images, labels, strict=True), start=first):
                yield Case(f"synthetic_{number}", "", image, mask)

    def _networks(self) -> dict[str, nn.Module]:
        """The networks that a state holds, by their names in it."""
        return {
            "segmentor": self.lesion_segmenter,
            "generator": self.generator,
            "reconstructor": self.reconstructor,
            "augmented": self.augmented_segmenter,
        }

    def state(self) -> dict[str, torch.Tensor]:
        """The weights of all networks but the critic, and what synthetic images are made of."""
        state = {
            "sources/bases": self.recipients,
            "sources/masks": self.masks,
            "sources/contrasts": self.contrasts,
        }
        for name, network in self._networks().items():
            state |= add_prefix(f"{name}/", network.state_dict())
        return state

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        """Fill untrained networks with saved weights."""
        self._build_networks(run)
        self.recipients = state["sources/bases"].to(run.device)
        self.masks = state["sources/masks"].to(run.device)
        self.contrasts = state["sources/contrasts"].to(run.device)
        for name, network in self._networks().items():
            network.load_state_dict(strip_prefix(f"{name}/", state))


def to_8_bits(case: Case) -> NDArray[np.uint8]:
    """The image of a case as uint8 (C H W)."""
    return np.rint(255 * case.image.clip(0, 1)).astype(np.uint8)


def has_lesion(case: Case) -> bool:
    """Whether a labelled image shows a lesion."""
    return case.mask is not None and bool(case.mask.any())


def normal_labels(cases: Sequence[Case]) -> set[int]:
    """The labels of labelled images without a lesion that no labelled image with a lesion has."""
    with_lesion: set[int] = set()
    without_lesion: set[int] = set()
    for case in cases:
        if case.label is not None:
            labels = with_lesion if has_lesion(case) else without_lesion
            labels.add(case.label)
    return without_lesion - with_lesion


def build_smile(config: Config, spec: Spec) -> Method:
    """The method, or one of its reference points, which have fewer capabilities."""
    if config.mode == "identity":
        return Identity(config, spec)
    if config.mode == "inpaint":
        return Reference(config, spec)  # scoring inpaints the true masks
    return SMILE(config, spec)


METHOD = build_smile
