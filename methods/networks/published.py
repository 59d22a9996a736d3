"""Where the published weights of a network lie, and what they expect."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bench.errors import BenchError
from methods.networks.colours import mean_and_std

HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # as torch.hub names files
HUB = "https://huggingface.co/{repository}/resolve/{revision}/model.safetensors"


@dataclass(frozen=True)
class PublishedWeights:
    """One file of weights that its library publishes."""

    network: str
    url: str
    sha256: str  # its first characters; "" where the address does not tell
    parameters: int  # of the network, or of its encoder, that it fills
    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str


def find_published(name: str) -> PublishedWeights:
    """The file for a network as suites name it: smp:..., vit:... or a name of timm.

    Raises BenchError for a network that does not exist, or that nobody published weights of.
    """
    encoder = name.removeprefix("vit:")
    if name.startswith("smp:"):
        from segmentation_models_pytorch.encoders import encoders

        encoder = name.removeprefix("smp:").partition("/")[2]
        if encoder in encoders:
            return _of_smp(name, encoder)
        encoder = encoder.removeprefix("tu-")
    return _of_timm(name, encoder)


def _of_smp(name: str, encoder: str) -> PublishedWeights:
    from segmentation_models_pytorch.encoders import encoders, get_encoder

    settings: Any = encoders[encoder]["pretrained_settings"]
    if "imagenet" not in settings:
        raise BenchError(f"{name} given; smp publishes no ImageNet weights of it; choose another")
    place = settings["imagenet"]
    url = HUB.format(repository=place["repo_id"], revision=place["revision"])
    count = _parameters(get_encoder(encoder, weights=None))
    mean, std = mean_and_std({}, encoder)
    return PublishedWeights(name, url, "", count, mean, std, "see the page of the file")


def _of_timm(name: str, encoder: str) -> PublishedWeights:
    import timm

    if not timm.is_model(encoder):
        raise BenchError(
            f"{name} given; expected smp:<architecture>/<encoder>, vit:<name in timm> or a name in "
            "timm; see 'timm.list_models()'"
        )
    published: Any = timm.get_pretrained_cfg(encoder)
    if published is None or not (published.hf_hub_id or published.url):
        raise BenchError(f"{name} given; timm publishes no weights of it; choose another")
    url = published.url or ""
    named = HASH_IN_NAME.search(url)
    if named is None and published.hf_hub_id:
        url = HUB.format(repository=published.hf_hub_id, revision="main")
    count = _parameters(timm.create_model(encoder, pretrained=False))
    mean, std = mean_and_std({}, f"tu-{encoder}")
    digest = named[1] if named else ""
    licence = published.license or "see the page of the file"
    return PublishedWeights(name, url, digest, count, mean, std, licence)


def _parameters(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
