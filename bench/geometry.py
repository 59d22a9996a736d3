"""Native grid <-> training grid. The harness owns all of it; a method sees the training grid alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def image_to_grid(image: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any]:
    """Image (C *S) on the training grid: 2D bilinear with antialias; 3D keeps its grid, z-scored float32."""
    if image.ndim == 4:
        return zscore(image)
    if image.shape[1:] == size:
        return image
    return np.stack([_resize(channel, size, smooth=True) for channel in image])


def mask_to_grid(mask: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.uint8]:
    """Mask (*S) on the training grid by nearest neighbour; 3D keeps its grid."""
    return mask if mask.ndim == 3 or mask.shape == size else _resize(mask, size, smooth=False)


def zscore(image: NDArray[Any]) -> NDArray[np.float32]:
    """Zero mean, unit deviation over the whole volume; a constant volume becomes zeros."""
    values = image.astype(np.float32)
    return (values - values.mean()) / max(float(values.std()), 1e-8)


def _resize(plane: NDArray[Any], size: tuple[int, ...], smooth: bool) -> NDArray[Any]:
    from PIL import Image

    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(plane).resize((size[1], size[0]), method))


def to_native(probabilities: torch.Tensor, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Label map (*S) on the native grid: probabilities (K *S) are restored there, then the argmax is taken."""
    from torch.nn.functional import interpolate

    if tuple(probabilities.shape[1:]) != shape:
        mode = "bilinear" if len(shape) == 2 else "trilinear"
        probabilities = interpolate(probabilities[None].float(), size=shape, mode=mode, align_corners=False)[0]
    return probabilities.argmax(0).to("cpu").numpy().astype(np.uint8)
