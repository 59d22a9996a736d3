"""Another random start of a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn


def draw_again(network: nn.Module, seed: int) -> None:
    """Draw the weights of a network on the CPU anew, each layer as torch draws it.

    An encoder with weights from a file keeps them.
    """
    kept: set[int] = set()
    if getattr(network, "imagenet", False):
        encoder: Any = network.encoder
        kept = {id(layer) for layer in encoder.modules()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in network.modules():
            reset: Any = getattr(layer, "reset_parameters", None)
            if reset is not None and id(layer) not in kept:
                reset()


def named_weights(backbone: Mapping[str, Any], weights: Path | None) -> str | None:
    """The weights that a training starts from, by file or by hash; None for random ones.

    A model that was saved after such a training is filled without the file. Images are scaled for
    it all the same, so that a network without the file is still one that started from it.
    """
    return backbone.get("weights") if weights is None else weights.name


def start_from_weights(
    network: nn.Module,
    encoder: nn.Module,
    backbone: Mapping[str, Any],
    weights: Path | None,
    colours: tuple[tuple[float, ...], tuple[float, ...]],
) -> None:
    """Scale images as the encoder's weights expect them, and fill it where there is the file.

    With `freeze`, the encoder is not trained and keeps its batch statistics. Raises BenchError
    where the file does not fit.
    """
    from methods.networks.weights import load_weights

    segmenter: Any = network
    if weights is not None:
        # Encoders that smp takes from timm keep their network in `model`.
        target = getattr(encoder, "model", encoder)
        load_weights(target, weights, "encoder", advice="give the file of this encoder")
    segmenter.imagenet = True
    for name, values in zip(("mean", "std"), colours, strict=True):
        buffer = torch.tensor(values).view(1, len(values), 1, 1)
        segmenter.register_buffer(name, buffer, persistent=False)
    if backbone.get("freeze", False):
        segmenter.frozen = True
        encoder.requires_grad_(False)
        encoder.eval()
