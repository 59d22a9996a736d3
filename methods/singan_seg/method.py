"""SinGAN-Seg (Thambawita et al. 2022): synthetic pairs from single labelled images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from bench.api import Case, Run, Saved, Spec, TrainView
from bench.errors import BenchError
from methods.singan_seg.config import Config, pyramid_settings
from methods.singan_seg.pairs import from_pairs, to_mask, to_pair, to_size
from methods.singan_seg.pyramid import plan_scales
from methods.singan_seg.sample import Pyramid, draw_samples, pyramid_from_tensors
from methods.singan_seg.style import FeatureNetwork, load_feature_network, transfer_style
from methods.singan_seg.train import train_pyramid
from methods.training import (
    add_prefix,
    mixed_batches,
    mixture_fact,
    probabilities,
    strip_prefix,
    train_supervised,
)

BATCH = 8  # samples drawn at once: 0.3 GB a layer at 250 pixels and 128 filters


@dataclass(frozen=True)
class Source:
    """A labelled image (1 C H W) in [0, 1], and the pyramid trained on it and its mask."""

    id: str
    image: torch.Tensor
    pyramid: Pyramid


class SinGANSeg:
    """Pyramids of single images make pairs, on which the suite's segmenter is trained."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config = config
        self.spec = spec
        self.network: nn.Module
        self.sources: list[Source]
        self.facts: dict[str, str] = {}

    def fit(self, view: TrainView, run: Run) -> None:
        """Train a pyramid for each labelled image with a lesion, then the segmenter for T steps."""
        config = self.config
        style_network = self._style_network(run.device)  # a wrong file fails before any training
        self._check_start_scale()
        available = [case for case in view.fit if case.mask is not None and case.mask.any()]
        cases = available[: config.max_sources]
        self.facts = self._facts(len(cases), len(available))
        if not cases:
            raise BenchError(
                f"{len(view.fit)} labelled images without a lesion given; "
                "singan_seg needs one with a lesion"
            )
        self.sources = [self._source(case, run) for case in cases]
        count = config.samples_per_image * len(cases)
        synthetic = list(self._samples(count, run.seed("synthetic samples"), style_network))
        self.network = run.backbone()
        if config.mode == "synthetic":
            train_supervised(self.network, synthetic, run, config)
        elif config.real_share is None:
            train_supervised(self.network, [*view.fit, *synthetic], run, config)
        else:
            labelled = mixed_batches(view.fit, synthetic, run, config, config.real_share)
            self.facts["mixture"] = mixture_fact(config.real_share, config)
            train_supervised(self.network, [*view.fit, *synthetic], run, config, labelled=labelled)

    def _check_start_scale(self) -> None:
        height, width = self.spec.size
        scales = len(plan_scales(height, width, self.config).sizes)
        if self.config.start_scale > scales:
            raise BenchError(
                f"start_scale {self.config.start_scale} given; there are {scales} scales; "
                f"choose 0 to {scales}"
            )

    def _facts(self, used: int, available: int) -> dict[str, str]:
        style = "skipped: no weights given"
        if self.config.style != "none":
            style = self.config.style.partition("=")[0]
        return {
            "sources": f"{used} of {available} labelled images with a lesion",
            "style transfer": style,
        }

    def _source(self, case: Case, run: Run) -> Source:
        """A case with its pyramid, a part that cells with the same pyramid settings share."""
        assert case.mask is not None
        pair = to_pair(case.image, case.mask, self.spec.classes)

        def build(seed: int, saved: Saved) -> dict[str, torch.Tensor]:
            pyramid = train_pyramid(pair, self.config, seed, run.device, saved, run.precision)
            return pyramid.tensors()

        # The settings hold sizes and classes, since an id alone does not say what was trained on.
        settings = {**pyramid_settings(self.config), "spec": self.spec.identity}
        part = run.part("singan_seg pyramid", settings, [case.id], build)
        image = torch.tensor(case.image)[None].to(run.device)
        return Source(case.id, image, pyramid_from_tensors(part, run.device))

    def _style_network(self, device: torch.device) -> FeatureNetwork | None:
        if self.config.style == "none":
            return None
        if self.spec.channels not in (1, 3):
            raise BenchError(
                f"style given for images of {self.spec.channels} channels; it needs 1 or 3; "
                "set style: none"
            )
        return load_feature_network(self.config.style, device)

    def synthesise(self, n: int, seed: int) -> Iterator[Case]:
        """n pairs on the training grid, shared out evenly over the sources.

        The group of a pair is the id of its source.
        """
        return self._samples(n, seed, self._style_network(self.sources[0].image.device))

    def _samples(self, n: int, seed: int, network: FeatureNetwork | None) -> Iterator[Case]:
        random = torch.Generator().manual_seed(seed)
        share, remainder = divmod(n, len(self.sources))
        for position, source in enumerate(self.sources):
            count = share + (position < remainder)
            for begin in range(0, count, BATCH):
                numbers = range(begin, min(begin + BATCH, count))
                yield from self._draw_batch(source, numbers, random, network)

    def _draw_batch(
        self,
        source: Source,
        numbers: Sequence[int],
        random: torch.Generator,
        network: FeatureNetwork | None,
    ) -> Iterator[Case]:
        pairs = draw_samples(source.pyramid, len(numbers), random, self.config.start_scale)
        images, maps = from_pairs(pairs, self.spec.channels)
        if network is not None:  # changes the images alone
            images = transfer_style(network, images, source.image, self.config)
        image_arrays = to_size(images, self.spec.size).cpu().numpy()
        mask_arrays = to_mask(to_size(maps, self.spec.size)).cpu().numpy()
        for number, image, mask in zip(numbers, image_arrays, mask_arrays, strict=True):
            yield Case(f"{source.id}_synthetic_{number}", source.id, image, mask)

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K H W) of images (B C H W) by the segmenter."""
        return probabilities(self.network, images)

    def state(self) -> dict[str, torch.Tensor]:
        """The segmenter's weights, and what `synthesise` needs of each source."""
        state = add_prefix("segmenter/", self.network.state_dict())
        for number, source in enumerate(self.sources):
            tensors = {"image": source.image, **source.pyramid.tensors()}
            state |= add_prefix(f"source/{number}/{source.id}/", tensors)
        return state

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        """Fill a fresh backbone and restore the sources."""
        self.network = run.backbone().to(run.device)
        self.network.load_state_dict(strip_prefix("segmenter/", state))
        ids: dict[int, str] = {}
        for name in state:
            if name.startswith("source/"):
                _, position, case_id, _ = name.split("/")
                ids[int(position)] = case_id
        self.sources = []
        for number, case_id in sorted(ids.items()):
            tensors = strip_prefix(f"source/{number}/{case_id}/", state)
            pyramid = pyramid_from_tensors(tensors, run.device)
            self.sources.append(Source(case_id, tensors["image"].to(run.device), pyramid))


METHOD = SinGANSeg
