"""Position tables of transformers, brought to another number of patches."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from bench.errors import BenchError

TABLE = "pos_embed"
State = dict[str, torch.Tensor]


def with_positions_of(network: nn.Module, state: State) -> State:
    """A state dict whose position table (1 N D) has as many patches as the network's.

    The table is resampled bicubically over the grid of patches, as timm does; rows of class and
    register tokens stay. The table of a file is taken as square where it can be. A network without
    such a table gets the state as it is. Raises BenchError for a table of another size whose
    patches form no square.
    """
    vit: Any = network
    wanted = getattr(vit, TABLE, None)
    keys = [key for key in state if key == TABLE or key.endswith(f".{TABLE}")]
    if not isinstance(wanted, torch.Tensor) or not hasattr(vit, "patch_embed") or len(keys) != 1:
        return state
    [key] = keys
    given = state[key]
    if given.ndim != 3 or given.shape[2] != wanted.shape[2]:
        return state
    from timm.layers import resample_abs_pos_embed

    size = list(vit.patch_embed.grid_size)
    rows = 0 if getattr(vit, "no_embed_class", False) else int(vit.num_prefix_tokens)
    patches = given.shape[1] - rows
    is_square = patches > 0 and math.isqrt(patches) ** 2 == patches
    # As many patches may lie in another grid: 14 x 14, and 7 x 28.
    is_other_grid = is_square and size != [math.isqrt(patches)] * 2
    if given.shape == wanted.shape and not is_other_grid:
        return state
    if not is_square:
        raise BenchError(
            f"weights with {given.shape[1]} positions given; {patches} patches form no square; "
            "give the file of this network"
        )
    resampled = resample_abs_pos_embed(given.float(), size, num_prefix_tokens=rows)
    return {**state, key: resampled}
