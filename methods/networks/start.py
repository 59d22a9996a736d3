"""Another random start of a network."""

from __future__ import annotations

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
