"""Networks that methods share. Names are known without importing torch; `build` makes one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api import Spec

if TYPE_CHECKING:
    from torch import nn

NDIM = {"unet": 2, "vnet": 3}  # besides smp:<architecture>/<encoder>, which is 2D
GRID = {"unet": 16, "vnet": 16}  # sides must be multiples of this


def build(backbone: Mapping[str, Any], spec: Spec, weights: Path | None = None) -> nn.Module:
    """A network from (B channels *S) to logits (B classes *S), initialised from torch's global generator.

    Every segmenter is `head(features(images))`; `features` gives the last map before the logits (B D *S'),
    `embed` the deepest map, averaged (B E). A classifier gives logits (B classes).
    """
    if spec.task == "classification":
        from methods.networks.classifier import build_classifier

        return build_classifier(backbone["name"], spec, weights)
    if backbone["name"] == "unet":
        from methods.networks.unet import UNet

        return UNet(spec.channels, spec.classes, backbone["width"])
    if backbone["name"] == "vnet":
        from methods.networks.vnet import VNet

        return VNet(spec.channels, spec.classes, backbone["width"])
    from methods.networks.smp import build_smp

    return build_smp(backbone["name"], spec, weights)
