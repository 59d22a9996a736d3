"""A file with weights of an encoder of smp, as people have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from segmentation_models_pytorch.encoders import get_encoder


def write_encoder_weights(file: Path, encoder: str) -> Path:
    """Write the state dict of an encoder with random weights."""
    network: Any = get_encoder(encoder, weights=None)
    torch.save(network.state_dict(), file)
    return file
