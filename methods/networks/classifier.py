"""Any network of timm as a classifier, with weights from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.api import Spec
from bench.errors import BenchError
from methods.networks.smp import IMAGENET_MEAN, IMAGENET_STD, input_channels


class TimmClassifier(nn.Module):
    """A model of timm seen as features and head; with `imagenet` it takes [0, 1] images as its weights expect."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: nn.Module, imagenet: bool) -> None:
        super().__init__()
        self.model: Any = model
        self.imagenet = imagenet
        given = getattr(model, "default_cfg", {})
        for name, fallback in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            values = torch.tensor(given.get(name, fallback)).view(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

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


def build_classifier(name: str, spec: Spec, weights: Path | None) -> nn.Module:
    """The network `name` of timm with `spec.classes` outputs; its last layer is never taken from the file.

    Raises BenchError for a name that timm does not have, or weights that do not fit.
    """
    import timm

    if not timm.is_model(name):
        near = timm.list_models(f"*{name[:6]}*")[:5]
        raise BenchError(
            f"classifier {name!r} given; timm has none of that name; near are {', '.join(near) or 'none'}"
        )
    channels = input_channels(spec, weights)
    known: Any = timm.get_pretrained_cfg(name, allow_unregistered=True)
    # A transformer is made for one size; its position embeddings in a file are of that size too.
    sized: dict[str, Any] = (
        {"img_size": tuple(spec.size)} if known is not None and known.fixed_input_size else {}
    )
    model = timm.create_model(
        name, pretrained=False, num_classes=spec.classes, in_chans=channels, **sized
    )
    if weights is not None:
        load_body(model, weights)
    return TimmClassifier(model, imagenet=weights is not None)


def load_body(model: nn.Module, file: Path) -> None:
    """Fill all but the last layer from a state dict file; the file's own last layer is left over."""
    from safetensors.torch import load_file

    given = (
        load_file(file) if file.suffix == ".safetensors" else torch.load(file, weights_only=True)
    )
    named: Any = model.default_cfg
    lasts = (
        (named["classifier"],)
        if isinstance(named["classifier"], str)
        else tuple(named["classifier"])
    )
    wanted = {key: value for key, value in model.state_dict().items() if not key.startswith(lasts)}
    missing = [key for key in wanted if key not in given or given[key].shape != wanted[key].shape]
    if missing:
        raise BenchError(
            f"weights {file.name} given; {len(missing)} of {len(wanted)} tensors of the network are not in it, "
            f"such as {missing[0]!r}; give the file of this timm network"
        )
    model.load_state_dict({key: given[key] for key in wanted}, strict=False)
