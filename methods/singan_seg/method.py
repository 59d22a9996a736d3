"""SinGAN-Seg (Thambawita et al. 2022): synthetic pairs from single labelled images, and a segmenter trained on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import nn

from bench.api import Case, Run, Saved, Spec, TrainView
from bench.errors import BenchError
from methods.singan_seg.config import Config, pyramid_settings
from methods.singan_seg.pairs import from_pairs, to_mask, to_pair, to_size
from methods.singan_seg.pyramid import plan
from methods.singan_seg.sample import Pyramid, draw, from_tensors
from methods.singan_seg.style import FeatureNetwork, feature_network, transfer
from methods.singan_seg.train import train_pyramid
from methods.training import probabilities, train_supervised

BATCH = 8  # samples drawn at once: 0.3 GB a layer at 250 pixels and 128 filters


@dataclass(frozen=True)
class Source:
    """A labelled image (1 C H W), in [0, 1], and the pyramid trained on it and its mask."""

    id: str
    image: torch.Tensor
    pyramid: Pyramid


class SinGANSeg:
    """Pyramids of single images make pairs; the suite's segmenter is trained on these, with or without real ones."""

    def __init__(self, config: Config, spec: Spec) -> None:
        self.config, self.spec = config, spec
        self.network: nn.Module
        self.sources: list[Source]
        self.facts: dict[str, str] = {}

    def fit(self, view: TrainView, run: Run) -> None:
        """One pyramid for each labelled image with a lesion, `samples_per_image` pairs from each, T segmenter steps."""
        config = self.config
        network = self._style_network(
            run.device
        )  # a wrong file shall fail before the pyramids are trained
        scales = len(plan(self.spec.size[0], self.spec.size[1], config).sizes)
        if config.start_scale > scales:
            raise BenchError(
                f"start_scale {config.start_scale} given; there are {scales} scales; choose 0 to {scales}"
            )
        available = [case for case in view.fit if case.mask is not None and case.mask.any()]
        cases = available[: config.max_sources]
        self.facts = {
            "sources": f"{len(cases)} of {len(available)} labelled images with a lesion",
            "style transfer": "skipped: no weights given"
            if network is None
            else config.style.partition("=")[0],
        }
        if not cases:
            raise BenchError(
                f"{len(view.fit)} labelled images without a lesion given; singan_seg needs one with a lesion"
            )
        self.sources = [self._source(case, run) for case in cases]
        seed = run.seed("synthetic samples")
        synthetic = list(self._samples(config.samples_per_image * len(cases), seed, network))
        self.network = run.backbone()
        real = list(view.fit) if config.mode == "augmented" else []
        train_supervised(self.network, real + synthetic, run, config)

    def _source(self, case: Case, run: Run) -> Source:
        """A case with its pyramid: a part, which cells with the same pyramid settings share."""
        pair = to_pair(case.image, case.mask, self.spec.classes)  # type: ignore[arg-type]

        def build(seed: int, saved: Saved) -> dict[str, torch.Tensor]:
            return train_pyramid(pair, self.config, seed, run.device).tensors()

        # Sizes and classes stand in the settings, since an id alone does not say what was trained on.
        settings = {**pyramid_settings(self.config), "spec": asdict(self.spec)}
        part = run.part("singan_seg pyramid", settings, [case.id], build)
        image = torch.tensor(case.image)[None].to(run.device)
        return Source(case.id, image, from_tensors(part, run.device))

    def _style_network(self, device: torch.device) -> FeatureNetwork | None:
        if self.config.style == "none":
            return None
        if self.spec.channels not in (1, 3):
            raise BenchError(
                f"style given for images of {self.spec.channels} channels; it needs 1 or 3; set style: none"
            )
        return feature_network(self.config.style, device)

    def synthesise(self, n: int, seed: int) -> Iterator[Case]:
        """n pairs on the training grid, shared out evenly over the sources; the group is the source's id."""
        return self._samples(n, seed, self._style_network(self.sources[0].image.device))

    def _samples(self, n: int, seed: int, network: FeatureNetwork | None) -> Iterator[Case]:
        random = torch.Generator().manual_seed(seed)
        each, more = divmod(n, len(self.sources))
        for number, source in enumerate(self.sources):
            count = each + (number < more)
            for begin in range(0, count, BATCH):
                yield from self._batch(
                    source, range(begin, min(begin + BATCH, count)), random, network
                )

    def _batch(
        self,
        source: Source,
        numbers: range,
        random: torch.Generator,
        network: FeatureNetwork | None,
    ) -> Iterator[Case]:
        pairs = draw(source.pyramid, len(numbers), random, self.config.start_scale)
        images, maps = from_pairs(pairs, self.spec.channels)
        if network is not None:  # changes the images alone
            images = transfer(network, images, source.image, self.config)
        images, masks = to_size(images, self.spec.size), to_mask(to_size(maps, self.spec.size))
        for number, image, mask in zip(
            numbers, images.cpu().numpy(), masks.cpu().numpy(), strict=True
        ):
            yield Case(f"{source.id}_synthetic_{number}", source.id, image, mask)

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K H W) of images (B C H W) by the segmenter."""
        return probabilities(self.network, images)

    def state(self) -> dict[str, torch.Tensor]:
        """The segmenter's weights, and what `synthesise` needs of each source."""
        found = {f"segmenter/{name}": value for name, value in self.network.state_dict().items()}
        for number, source in enumerate(self.sources):
            held = {"image": source.image, **source.pyramid.tensors()}
            found.update(
                {f"source/{number}/{source.id}/{name}": value for name, value in held.items()}
            )
        return found

    def load(self, state: dict[str, torch.Tensor], run: Run) -> None:
        """Fill a fresh backbone and take up the sources."""
        self.network = run.backbone().to(run.device)
        self.network.load_state_dict(_below("segmenter/", state))
        names = {tuple(name.split("/")[1:3]) for name in state if name.startswith("source/")}
        self.sources = []
        for number, case in sorted(names, key=lambda name: int(name[0])):
            held = _below(f"source/{number}/{case}/", state)
            pyramid = from_tensors(held, run.device)
            self.sources.append(Source(case, held["image"].to(run.device), pyramid))


def _below(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


METHOD = SinGANSeg
