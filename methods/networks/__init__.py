"""Networks that methods share: `build` makes one by name. Names are known without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api import Spec
from methods.networks.patches import patch_of as patch_of

if TYPE_CHECKING:
    from torch import nn

    from methods.networks.published import PublishedWeights

# Besides smp:<architecture>/<encoder> and vit:<name in timm>, which are 2D.
NDIM = {"unet": 2, "vnet": 3}
GRID = {"unet": 16, "vnet": 16}  # sides must be multiples of this
SMP_GRID = {"deeplabv3": 8, "deeplabv3plus": 16, "pan": 16}  # 32 for the other architectures


def build(backbone: Mapping[str, Any], spec: Spec, weights: Path | None = None) -> nn.Module:
    """A network from images (B channels *S) to logits (B outputs *S), of a classifier (B classes).

    Every segmenter is `head(features(images))`: `features` gives the last map before the logits
    (B D *S'), `embed` the deepest map, averaged over its pixels (B E). `features` is
    `decode(encode(images))[-1]`: the maps of the encoder, fine to coarse, become those of the
    decoder, coarse to fine, of which some networks give the last alone. Weights are drawn from
    torch's global generator or read from a file. Raises BenchError for an unknown name, or for
    weights that do not fit. The networks: docs/methods/common.md#networks.
    """
    if spec.task == "classification":
        from methods.networks.classifier import build_classifier

        return build_classifier(backbone["name"], spec, weights, backbone)
    dropout = backbone.get("dropout", True)
    if backbone["name"] == "unet":
        from methods.networks.unet import UNet

        levels = backbone.get("levels", 5)
        return UNet(spec.channels, spec.outputs, backbone["width"], levels, dropout)
    if backbone["name"] == "vnet":
        from methods.networks.vnet import VNet

        return VNet(spec.channels, spec.outputs, backbone["width"], dropout)
    if backbone["name"].startswith("vit:"):
        from methods.networks.vit import build_vit

        return build_vit(backbone, spec, weights)
    from methods.networks.smp import build_smp

    return build_smp(backbone["name"], spec, weights, backbone)


def grid(name: str) -> int:
    """What the sides of a training image must be multiples of, for a network of this name."""
    if name.startswith("vit:"):
        return patch_of(name)
    if not name.startswith("smp:"):
        return GRID.get(name, 1)
    architecture = name.removeprefix("smp:").partition("/")[0]
    return SMP_GRID.get(architecture.lower(), 32)


def published_weights(name: str) -> PublishedWeights:
    """The file that a network's published weights lie in. Raises BenchError for no such network."""
    from methods.networks.published import find_published

    return find_published(name)


def load_weights(network: nn.Module, file: Path, part: str, advice: str) -> None:
    """Fill a whole network from a file with a state dict. Raises BenchError if it does not fit."""
    from methods.networks import weights

    weights.load_weights(network, file, part, advice=advice)
