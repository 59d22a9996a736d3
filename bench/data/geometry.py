"""Native grid <-> training grid. The harness owns all of it; a method sees the training grid alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def image_to_grid(image: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any]:
    """Image (C H W) on the training grid, bilinear with antialias."""
    if image.shape[1:] == size:
        return image
    return np.stack([_resize(channel, size, smooth=True) for channel in image])


def mask_to_grid(mask: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.uint8]:
    """Mask (H W) on the training grid by nearest neighbour."""
    return mask if mask.shape == size else _resize(mask, size, smooth=False)


def shrink_image(volume: NDArray[np.float32], factors: tuple[int, ...]) -> NDArray[np.float32]:
    """Means of blocks of a volume (C *S): one value for each `factors` voxels, the rim padded with its own values."""
    if max(factors) == 1:
        return volume
    return _blocks(volume, factors).mean(tuple(range(2, 2 * len(factors) + 1, 2)), dtype=np.float32)


def shrink_mask(mask: NDArray[np.uint8], factors: tuple[int, ...]) -> NDArray[np.uint8]:
    """The most frequent class of each block of a mask (*S), the lowest of equals."""
    if max(factors) == 1:
        return mask
    shares = [_blocks(mask[None] == label, factors).sum(tuple(range(2, 2 * len(factors) + 1, 2)))[0]
              for label in range(int(mask.max(initial=0)) + 1)]  # fmt: skip
    return np.argmax(shares, 0).astype(np.uint8)


def _blocks(volume: NDArray[Any], factors: tuple[int, ...]) -> NDArray[Any]:
    """A volume (C *S), padded to whole blocks, as (C n1 f1 n2 f2 ...)."""
    rim = [(0, -side % factor) for side, factor in zip(volume.shape[1:], factors, strict=True)]
    padded = np.pad(volume, [(0, 0), *rim], mode="edge")
    sides = [
        n
        for side, factor in zip(padded.shape[1:], factors, strict=True)
        for n in (side // factor, factor)
    ]
    return padded.reshape(len(volume), *sides)


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
    return np.clip((image.astype(np.float32) - lo) / np.maximum(hi - lo, 1e-8), 0, 1).astype(
        np.float32
    )


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


def to_native(
    probabilities: torch.Tensor,
    shape: tuple[int, ...],
    axis: int | None = None,
    factors: Sequence[int] = (),
) -> NDArray[np.uint8]:
    """Label map (*S) on the native grid: probabilities are restored there, then the argmax is taken.

    (1 K *S) for an image or volume that was segmented whole; (D K H W) for the slices of a volume along `axis`.
    `factors` undo `shrink_image`.
    """
    from torch.nn.functional import interpolate

    size = shape if axis is None else shape[:axis] + shape[axis + 1 :]
    if factors and max(factors) > 1:
        # Each value stands for a whole block, also at the rim, so blocks are spread and the padding is cut off.
        whole = [
            side * factor for side, factor in zip(probabilities.shape[2:], factors, strict=True)
        ]
        probabilities = interpolate(
            probabilities.float(), size=whole, mode="trilinear", align_corners=False
        )
        probabilities = probabilities[:, :, : shape[0], : shape[1], : shape[2]]
    if tuple(probabilities.shape[2:]) != size:
        probabilities = interpolate(
            probabilities.float(), size=size, mode="bilinear", align_corners=False
        )
    labels: NDArray[np.uint8] = probabilities.argmax(1).to("cpu").numpy().astype(np.uint8)
    return labels[0] if axis is None else np.moveaxis(labels, 0, axis)


def largest_components(label_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of each class in a label map (*S) its largest connected part, corners counted as contact."""
    from scipy import ndimage

    kept = np.zeros_like(label_map)
    for label in np.unique(label_map[label_map > 0]):
        parts, _ = ndimage.label(label_map == label, np.ones((3,) * label_map.ndim))
        kept[parts == np.bincount(parts.ravel())[1:].argmax() + 1] = label
    return kept
