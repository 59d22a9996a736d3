"""Any vision transformer of timm, such as DINOv2, as a segmenter with a linear decoder.

Source: docs/methods/common.md#networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.api import Spec
from bench.errors import BenchError
from methods.networks.colours import mean_and_std

PREFIX = "vit:"
LEVELS = 4  # of the transformer's depth, from which maps are taken
ADVICE = "such as vit:vit_small_patch14_dinov2; see 'timm.list_models(\"vit*\")'"


class ViTSegmenter(nn.Module):
    """Patch tokens of four depths, batch-normalised, and one linear layer for each patch."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, vit: Any, classes: int, patch: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder: Any = vit
        depth = len(vit.blocks)
        self.depths = [depth * level // LEVELS - 1 for level in range(1, LEVELS + 1)]
        width = LEVELS * int(vit.embed_dim)
        self.decoder = nn.BatchNorm2d(width)
        upsample = nn.Upsample(scale_factor=patch, mode="bilinear", align_corners=False)
        self.head = nn.Sequential(nn.Conv2d(width, classes, 1), upsample)
        self.imagenet = False
        self.frozen = False

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The map (B D H' W') that the head turns into logits, of images (B channels H W)."""
        return self.decode(self.encode(images))[-1]

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """The deepest map, averaged over its patches (B D)."""
        return self.encode(images)[-1].mean((2, 3))

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Maps of patch tokens (B D H' W') of four depths, all of one size."""
        if self.imagenet:
            images = (images.expand(-1, 3, -1, -1) - self.mean) / self.std
        maps: list[torch.Tensor] = self.encoder.forward_intermediates(
            images, indices=self.depths, norm=True, intermediates_only=True
        )
        return maps

    def decode(self, levels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """One map: those of `encode` beside each other, batch-normalised."""
        normalised: torch.Tensor = self.decoder(torch.cat(list(levels), 1))
        return [normalised]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B classes H W) of images (B channels H W) in [0, 1]."""
        logits: torch.Tensor = self.head(self.features(images))
        return logits

    def train(self, mode: bool = True) -> ViTSegmenter:
        """Go to training mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self


def build_vit(backbone: Mapping[str, Any], spec: Spec, weights: Path | None) -> nn.Module:
    """The network `vit:<timm name>` for images of `spec.size`.

    Raises BenchError for a name that timm does not have or that is no plain transformer, and for
    weights that do not fit.
    """
    import timm

    from methods.networks.smp import input_channels
    from methods.networks.start import named_weights, start_from_weights

    name = backbone["name"].removeprefix(PREFIX)
    if not timm.is_model(name):
        raise BenchError(f"backbone {name!r} given; timm has none of that name; give one {ADVICE}")
    start = named_weights(backbone, weights)
    channels = input_channels(spec, start)
    try:
        vit: Any = timm.create_model(
            name, pretrained=False, num_classes=0, in_chans=channels, img_size=tuple(spec.size)
        )
    except (TypeError, ValueError, AssertionError, RuntimeError) as problem:
        raise BenchError(
            f"backbone {name!r} given, which timm does not build for images of {spec.size} "
            f"({problem}); expected a plain vision transformer, {ADVICE}"
        ) from None
    network = ViTSegmenter(vit, spec.outputs, _patch_in(vit, name, spec))
    if start is not None:
        start_from_weights(network, vit, backbone, weights, mean_and_std(backbone, f"tu-{name}"))
    return network


def _patch_in(vit: Any, name: str, spec: Spec) -> tuple[int, ...]:
    """The pixels of a patch of a network along each side of `spec.size`.

    Raises BenchError where it is no plain transformer, or where its patches do not fill the image.
    """
    embedding = getattr(vit, "patch_embed", None)
    grid = getattr(embedding, "grid_size", ())
    is_plain = bool(grid) and hasattr(vit, "forward_intermediates")
    if not is_plain or len(getattr(vit, "blocks", ())) < LEVELS:
        raise BenchError(
            f"backbone {name!r} given; expected a plain vision transformer of {LEVELS} blocks or "
            f"more, {ADVICE}"
        )
    patch: tuple[int, ...] = tuple(getattr(embedding, "patch_size", ()))
    filled = [cells * side for cells, side in zip(grid, patch, strict=False)]
    if filled != list(spec.size):
        raise BenchError(
            f"backbone {name!r} given; its patches of {' x '.join(map(str, patch))} pixels do not "
            f"fill images of {' x '.join(map(str, spec.size))}; change 'size'"
        )
    return patch
