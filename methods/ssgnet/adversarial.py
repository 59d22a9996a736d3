"""What the trainings of both generators share: the check of pictures, and the averaged network."""

from __future__ import annotations

import torch
from torch import nn

from bench.errors import BenchError


def shape_of_pictures(pictures: torch.Tensor, generator: str) -> tuple[int, int]:
    """Channels and side of square pictures (N C R R).

    Raises BenchError, which names the generator, for pictures of another shape.
    """
    if pictures.ndim != 4 or pictures.shape[2] != pictures.shape[3] or not len(pictures):
        raise BenchError(
            f"{generator} got images {tuple(pictures.shape)}; it needs squares (N C R R), N > 0; "
            "resize them"
        )
    return pictures.shape[1], pictures.shape[2]


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, keep: float) -> None:
    """average = keep * average + (1 - keep) * network for weights; buffers are copied."""
    weights = dict(network.named_parameters())
    latest = network.state_dict()
    for name, value in average.state_dict().items():
        if name in weights:
            value.lerp_(latest[name], 1 - keep)
        else:
            value.copy_(latest[name])
