"""How images are scaled for a network whose weights come from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
DPN = ((124 / 255, 117 / 255, 104 / 255), (0.2348, 0.2348, 0.2348))
# Encoders of segmentation-models-pytorch whose weights were not trained with ImageNet's values.
OTHERS = {"inceptionresnetv2": HALVES, "inceptionv4": HALVES, "xception": HALVES}

Values = tuple[float, ...]


def mean_and_std(backbone: Mapping[str, Any], encoder: str) -> tuple[Values, Values]:
    """Mean and deviation (of red, green, blue) that an encoder's published weights expect.

    Those that a suite names come first; then what timm states of its networks, or what is known of
    encoders of smp; ImageNet's otherwise.
    """
    import timm

    mean, std = IMAGENET_MEAN, IMAGENET_STD
    plain = encoder.removeprefix("tu-")
    published: Any = None
    if timm.is_model(plain):
        published = timm.get_pretrained_cfg(plain, allow_unregistered=True)
    if encoder in OTHERS:
        mean, std = OTHERS[encoder]
    elif encoder.startswith("dpn"):
        mean, std = DPN
    elif encoder != plain and published is not None:
        mean, std = published.mean, published.std
    given_mean = backbone.get("mean") or mean
    given_std = backbone.get("std") or std
    return tuple(given_mean), tuple(given_std)
