"""Any network of segmentation-models-pytorch (smp), with encoder weights from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.api import Spec
from bench.errors import BenchError
from methods.networks.colours import IMAGENET_MEAN as IMAGENET_MEAN
from methods.networks.colours import IMAGENET_STD as IMAGENET_STD
from methods.networks.colours import mean_and_std
from methods.networks.start import named_weights, start_from_weights


class SmpSegmenter(nn.Module):
    """A model of smp as features and head.

    With `imagenet`, images in [0, 1] are scaled as the encoder's weights expect them.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.encoder: Any = model.encoder
        self.decoder: Any = model.decoder
        self.head: Any = model.segmentation_head
        self.imagenet = False
        self.frozen = False

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The map (B D H' W') that the head turns into logits, of images (B channels H W).

        With `imagenet`, grey images are repeated to three channels.
        """
        stride = self.encoder.output_stride
        if images.shape[-1] % stride or images.shape[-2] % stride:
            raise ValueError(
                f"backbone got {tuple(images.shape[-2:])} pixels; it needs multiples of {stride}; "
                "change 'size'"
            )
        return self.decode(self.encode(images))[-1]

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """The deepest map of the encoder, averaged over its pixels (B D)."""
        return self.encode(images)[-1].mean((2, 3))

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The maps of the encoder, from fine to coarse."""
        levels: list[torch.Tensor] = self.encoder(self._normalised(images))
        return levels

    def decode(self, levels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The last map of the decoder alone, of the maps of `encode`: smp keeps the others."""
        decoded: torch.Tensor = self.decoder(levels)
        return [decoded]

    def _normalised(self, images: torch.Tensor) -> torch.Tensor:
        if not self.imagenet:
            return images
        return (images.expand(-1, 3, -1, -1) - self.mean) / self.std

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B classes H W) of images (B channels H W) in [0, 1]."""
        logits: torch.Tensor = self.head(self.features(images))
        return logits

    def train(self, mode: bool = True) -> SmpSegmenter:
        """Go to training mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self


def input_channels(spec: Spec, weights: str | None) -> int:
    """Channels of the first layer: 3 with weights from ImageNet, else those of the images.

    Raises BenchError if weights are given for images that are neither grey nor RGB.
    """
    if weights is None:
        return spec.channels
    if spec.channels not in (1, 3):
        raise BenchError(
            f"weights {weights} given for images of {spec.channels} channels; "
            "they fit 1 or 3; remove them"
        )
    return 3


def build_smp(
    name: str, spec: Spec, weights: Path | None, backbone: Mapping[str, Any] | None = None
) -> nn.Module:
    """The network `smp:<architecture>/<encoder>`; encoders that smp lacks are taken from timm.

    Raises BenchError for an unknown name, or for weights that do not fit.
    """
    import segmentation_models_pytorch as smp
    from segmentation_models_pytorch.encoders import encoders

    architecture, encoder = name.removeprefix("smp:").split("/")
    if encoder not in encoders:
        encoder = f"tu-{encoder.removeprefix('tu-')}"
    settings = backbone or {}
    start = named_weights(settings, weights)
    channels = input_channels(spec, start)
    try:
        network = smp.create_model(
            architecture,
            encoder_name=encoder,
            encoder_weights=None,
            in_channels=channels,
            classes=spec.outputs,
        )
    except (KeyError, RuntimeError, ValueError) as problem:
        raise BenchError(
            f"backbone {name!r} given; segmentation-models-pytorch or timm does not know it "
            f"({problem})"
        ) from None
    segmenter = SmpSegmenter(network)
    if start is not None:
        colours = mean_and_std(settings, encoder)
        start_from_weights(segmenter, segmenter.encoder, settings, weights, colours)
    return segmenter
