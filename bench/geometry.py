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


def image_slices(image: NDArray[Any], axis: int) -> NDArray[Any]:
    """The slices (D C H W) of a volume (C *S) along one of its spatial axes, in [0, 1] or uint8."""
    return np.ascontiguousarray(np.moveaxis(to_unit(image), axis + 1, 0))


def mask_slices(mask: NDArray[np.uint8], axis: int) -> NDArray[np.uint8]:
    """The slices (D H W) of a mask (*S)."""
    return np.ascontiguousarray(np.moveaxis(mask, axis, 0))


def to_unit(image: NDArray[Any]) -> NDArray[Any]:
    """8-bit values and values in [0, 1] as they are; else each channel (C *S) from its 0.5th to 99.5th percentile."""
    if image.dtype == np.uint8 or (image.min() >= 0 and image.max() <= 1):
        return image
    lo, hi = np.percentile(image, [0.5, 99.5], axis=tuple(range(1, image.ndim)), keepdims=True)
    return np.clip((image.astype(np.float32) - lo) / np.maximum(hi - lo, 1e-8), 0, 1).astype(np.float32)


def zscore(image: NDArray[Any]) -> NDArray[np.float32]:
    """Zero mean, unit deviation of each channel over the whole volume (C *S); a constant one becomes zeros."""
    values = image.astype(np.float32)
    axes = tuple(range(1, values.ndim))
    deviation = np.maximum(values.std(axes, keepdims=True), 1e-8)
    return ((values - values.mean(axes, keepdims=True)) / deviation).astype(np.float32)


def _resize(plane: NDArray[Any], size: tuple[int, ...], smooth: bool) -> NDArray[Any]:
    from PIL import Image

    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(plane).resize((size[1], size[0]), method))


def to_native(probabilities: torch.Tensor, shape: tuple[int, ...], axis: int | None = None) -> NDArray[np.uint8]:
    """Label map (*S) on the native grid: probabilities are restored there, then the argmax is taken.

    (1 K *S) for an image or volume that was segmented whole; (D K H W) for the slices of a volume along `axis`.
    """
    from torch.nn.functional import interpolate

    size = shape if axis is None else shape[:axis] + shape[axis + 1 :]
    if tuple(probabilities.shape[2:]) != size:
        mode = "bilinear" if len(size) == 2 else "trilinear"
        probabilities = interpolate(probabilities.float(), size=size, mode=mode, align_corners=False)
    labels: NDArray[np.uint8] = probabilities.argmax(1).to("cpu").numpy().astype(np.uint8)
    return labels[0] if axis is None else np.moveaxis(labels, 0, axis)
