"""Probabilities on the grid of an image, as `bench.data.geometry.to_native` resizes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def native_probabilities(
    probabilities: torch.Tensor,
    shape: tuple[int, ...],
    axis: int | None,
    factors: Sequence[int] = (),
) -> NDArray[np.float16]:
    """Probabilities (K *S) on the native grid of a shape (*S).

    Arguments are those of `to_native`: (1 K *S), or (D K H W) for the slices along an axis.
    """
    from torch.nn.functional import interpolate

    size = list(shape)
    if axis is not None:
        del size[axis]
    mode = "bilinear" if len(size) == 2 else "trilinear"
    if factors and max(factors) > 1:
        sides = zip(probabilities.shape[2:], factors, strict=True)
        whole = [side * factor for side, factor in sides]
        probabilities = interpolate(probabilities.float(), whole, mode=mode, align_corners=False)
        probabilities = probabilities[:, :, : shape[0], : shape[1], : shape[2]]
    if list(probabilities.shape[2:]) != size:
        probabilities = interpolate(probabilities.float(), size, mode=mode, align_corners=False)
    array: NDArray[np.float16] = probabilities.cpu().numpy().astype(np.float16)
    if axis is None:
        return array[0]
    return np.moveaxis(array.swapaxes(0, 1), 1, axis + 1)
