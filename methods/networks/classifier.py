"""Any network of timm as a classifier, with weights from a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.api import Spec
from bench.errors import BenchError
from methods.networks.colours import mean_and_std
from methods.networks.smp import input_channels
from methods.networks.start import named_weights

Colours = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation of red, green and blue


class TimmClassifier(nn.Module):
    """A model of timm as features and head.

    With `colours`, images in [0, 1] are scaled by this mean and deviation.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: nn.Module, colours: Colours | None = None) -> None:
        super().__init__()
        self.model: Any = model
        self.imagenet = colours is not None
        self.frozen = False
        for name, values in zip(("mean", "std"), colours or (), strict=False):
            buffer = torch.tensor(values).view(1, 3, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

    def freeze(self) -> None:
        """Train the last layer alone; the body keeps its batch statistics."""
        self.frozen = True
        self.model.requires_grad_(False)
        heads = self.model.get_classifier()
        for head in heads if isinstance(heads, tuple) else (heads,):  # distilled ones have two
            head.requires_grad_(True)
        self.eval()

    def train(self, mode: bool = True) -> TimmClassifier:
        """Go to training mode, in which a frozen body stays in evaluation mode."""
        super().train(mode and not self.frozen)
        return self

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """What enters the last layer (B D) of images (B C H W)."""
        pooled: torch.Tensor = self.model.forward_head(self._maps(images), pre_logits=True)
        return pooled

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B K) of images (B C H W) in [0, 1]."""
        logits: torch.Tensor = self.model.forward_head(self._maps(images))
        return logits

    def _maps(self, images: torch.Tensor) -> torch.Tensor:
        if self.imagenet:
            images = (images.expand(-1, 3, -1, -1) - self.mean) / self.std
        maps: torch.Tensor = self.model.forward_features(images)
        return maps


def build_classifier(
    name: str, spec: Spec, weights: Path | None, network: Mapping[str, Any] | None = None
) -> nn.Module:
    """The network `name` of timm with `spec.classes` outputs.

    Its last layer is never read from the weights. Raises BenchError for a name that timm does not
    have, or for weights that do not fit.
    """
    import timm

    if not timm.is_model(name):
        similar = ", ".join(timm.list_models(f"*{name[:6]}*")[:5]) or "none"
        raise BenchError(
            f"classifier {name!r} given; timm has none of that name; similar ones: {similar}"
        )
    keys = network or {}
    start = named_weights(keys, weights)
    channels = input_channels(spec, start)
    settings: dict[str, Any] = {"num_classes": spec.classes, "in_chans": channels}
    published: Any = timm.get_pretrained_cfg(name, allow_unregistered=True)
    # A transformer is made for one size, and position embeddings in a file are of that size too.
    if published is not None and published.fixed_input_size:
        settings["img_size"] = tuple(spec.size)
    model = timm.create_model(name, pretrained=False, **settings)
    if start is None:
        return TimmClassifier(model)
    if weights is not None:
        load_body(model, weights)
    classifier = TimmClassifier(model, mean_and_std(keys, f"tu-{name}"))
    if keys.get("freeze", False):
        classifier.freeze()
    return classifier


def load_body(model: nn.Module, file: Path) -> None:
    """Fill all but the last layer from a file with a state dict, whose own last layer is ignored.

    Raises BenchError if a tensor is missing or has another shape.
    """
    from methods.networks.weights import load_weights

    published: Any = model.default_cfg
    last_layers = published["classifier"]  # one name, or several
    if isinstance(last_layers, str):
        last_layers = (last_layers,)
    load_weights(model, file, "network", last_layers, "give the file of this timm network")
