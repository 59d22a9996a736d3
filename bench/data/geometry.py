"""Native grid <-> training grid: only the harness sees both; a method sees the training grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.api import Region
from bench.data.regions import label_maps

if TYPE_CHECKING:
    import torch


def image_to_grid(
    image: NDArray[Any], size: tuple[int, ...], inner: tuple[int, ...] | None = None
) -> NDArray[Any]:
    """An image (C H W) on the training grid, bilinear with antialiasing.

    With `inner` it gets that size, and lies in the middle amid zeros.
    """
    inner = inner or size
    if image.shape[1:] != inner:
        image = np.stack([_resize(channel, inner, smooth=True) for channel in image])
    return _framed(image, size)


def mask_to_grid(
    mask: NDArray[np.uint8], size: tuple[int, ...], inner: tuple[int, ...] | None = None
) -> NDArray[np.uint8]:
    """A mask (H W) on the training grid, by nearest neighbour; `inner` is that of its image."""
    inner = inner or size
    if mask.shape != inner:
        mask = _resize(mask, inner, smooth=False)
    return _framed(mask, size)


def _framed(array: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any]:
    """An array (... H W) in the middle of a grid, amid zeros."""
    inner = array.shape[-2:]
    if inner == size:
        return array
    framed = np.zeros((*array.shape[:-2], *size), array.dtype)
    rows, columns = map(middle, size, inner)
    framed[..., rows, columns] = array
    return framed


def middle(side: int, part: int) -> slice:
    """Where an image lies along one side of a grid; an odd gap is longer behind."""
    start = (side - part) // 2
    return slice(start, start + part)


def without_frame(probabilities: torch.Tensor, inner: Sequence[int] | None) -> torch.Tensor:
    """Probabilities (N K H W) of the image itself, where it lies amid zeros."""
    if inner is None:
        return probabilities
    rows, columns = map(middle, probabilities.shape[-2:], inner)
    return probabilities[..., rows, columns]


def shrink_image(volume: NDArray[np.float32], factors: tuple[int, ...]) -> NDArray[np.float32]:
    """A volume (C *S) of the means of blocks of `factors` voxels; its edge fills the last ones."""
    if max(factors) == 1:
        return volume
    return _blocks(volume, factors).mean(_axes_within_blocks(factors), dtype=np.float32)


def shrink_mask(mask: NDArray[np.uint8], factors: tuple[int, ...]) -> NDArray[np.uint8]:
    """A mask (*S) with the most frequent class of each block; of equals, the lowest."""
    if max(factors) == 1:
        return mask
    axes = _axes_within_blocks(factors)
    counts = []
    labels = np.unique(mask)
    for label in labels:
        inside = _blocks(mask[None] == label, factors)
        counts.append(inside.sum(axes)[0])
    return labels[np.argmax(counts, 0)].astype(np.uint8)


def _blocks(volume: NDArray[Any], factors: tuple[int, ...]) -> NDArray[Any]:
    """A volume (C *S), padded to whole blocks, as (C n1 f1 n2 f2 ...)."""
    rim = [(0, -side % factor) for side, factor in zip(volume.shape[1:], factors, strict=True)]
    padded = np.pad(volume, [(0, 0), *rim], mode="edge")
    sides: list[int] = []
    for side, factor in zip(padded.shape[1:], factors, strict=True):
        sides += [side // factor, factor]
    return padded.reshape(len(volume), *sides)


def _axes_within_blocks(factors: tuple[int, ...]) -> tuple[int, ...]:
    """The axes f1, f2, ... of `_blocks`."""
    return tuple(range(2, 2 * len(factors) + 1, 2))


def resampled_shape(
    shape: Sequence[int], spacing: Sequence[float], target: Sequence[float]
) -> tuple[int, ...]:
    """The shape (*S) that a volume of a spacing (mm) has at another one; 1 at least."""
    sides = zip(shape, spacing, target, strict=True)
    return tuple(max(1, round(side * old / new)) for side, old, new in sides)


def resample_image(volume: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A volume (C *S) on a grid of another shape over the same box, by linear interpolation.

    Axes that lose voxels are smoothed before, so that what is finer than the new grid does not
    come back as false structure.
    """
    if volume.shape[1:] == shape:
        return volume
    return np.stack([_resample(channel, shape) for channel in volume])


def resample_mask(mask: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A mask (*S) on a grid of another shape: the class that has most of each new voxel."""
    if mask.shape == shape:
        return mask
    labels = np.unique(mask)  # with that of pixels to ignore, 255, there are few
    shares = [_resample((mask == label).astype(np.float32), shape) for label in labels]
    return labels[np.argmax(shares, 0)].astype(np.uint8)


def _resample(channel: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    from scipy import ndimage  # a second to import

    pairs = list(zip(channel.shape, shape, strict=True))
    blur = [max(0.0, (old / new - 1) / 2) for old, new in pairs]
    if any(blur):
        channel = ndimage.gaussian_filter(channel, blur, mode="nearest")
    factors = [new / old for old, new in pairs]
    # grid_mode: voxels are boxes, and both grids have the same edges
    resized = ndimage.zoom(channel, factors, order=1, mode="nearest", grid_mode=True)
    assert resized.shape == shape
    return np.asarray(resized, np.float32)


def image_slices(image: NDArray[Any], axis: int) -> NDArray[Any]:
    """The slices (D C H W) of a volume (C *S) along one of its spatial axes, in [0, 1] or uint8."""
    return np.ascontiguousarray(np.moveaxis(to_unit(image), axis + 1, 0))


def mask_slices(mask: NDArray[np.uint8], axis: int) -> NDArray[np.uint8]:
    """The slices (D H W) of a mask (*S)."""
    return np.ascontiguousarray(np.moveaxis(mask, axis, 0))


def to_unit(image: NDArray[Any]) -> NDArray[Any]:
    """An image (C *S) in [0, 1] or as uint8, which it may be already.

    Otherwise each channel is scaled from its 0.5th to its 99.5th percentile, and clipped.
    """
    if image.dtype == np.uint8 or (image.min() >= 0 and image.max() <= 1):
        return image
    axes = tuple(range(1, image.ndim))
    low, high = np.percentile(image, [0.5, 99.5], axis=axes, keepdims=True)
    scaled = (image.astype(np.float32) - low) / np.maximum(high - low, 1e-8)
    return np.clip(scaled, 0, 1).astype(np.float32)


def zscore(image: NDArray[Any]) -> NDArray[np.float32]:
    """A volume (C *S) with mean 0 and deviation 1 in each channel; a constant channel is all 0."""
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
    regions: Sequence[Region] = (),
) -> NDArray[np.uint8]:
    """Label map (*S) on the native grid: probabilities are resized, then the argmax is taken.

    Probabilities of `regions` are painted. Other arguments are those of `resize_to_native`.
    """
    resized = resize_to_native(probabilities, shape, axis, factors)
    painted = label_maps(resized, regions)
    labels: NDArray[np.uint8] = painted.to("cpu").numpy().astype(np.uint8)
    return labels[0] if axis is None else np.moveaxis(labels, 0, axis)


def resize_to_native(
    probabilities: torch.Tensor,
    shape: tuple[int, ...],
    axis: int | None = None,
    factors: Sequence[int] = (),
) -> torch.Tensor:
    """Probabilities at the native size of an image or volume (*S).

    They are (1 K *S) for an image or a volume that was segmented whole, and (D K H W) for the
    slices of a volume along `axis`. `factors` are those of `shrink_image`; a volume that was
    resampled to another spacing is resized as an image is.
    """
    from torch.nn.functional import interpolate

    size = shape
    if axis is not None:
        size = shape[:axis] + shape[axis + 1 :]
    if factors and max(factors) > 1:
        # Each value stands for a whole block, at the edge too: the padding is cut off afterwards.
        sides = zip(probabilities.shape[2:], factors, strict=True)
        padded = [side * factor for side, factor in sides]
        probabilities = interpolate(
            probabilities.float(), size=padded, mode="trilinear", align_corners=False
        )
        probabilities = probabilities[:, :, : shape[0], : shape[1], : shape[2]]
    if tuple(probabilities.shape[2:]) != size:
        mode = "bilinear" if len(size) == 2 else "trilinear"
        probabilities = interpolate(
            probabilities.float(), size=size, mode=mode, align_corners=False
        )
    return probabilities


def native_probabilities(
    probabilities: torch.Tensor,
    shape: tuple[int, ...],
    axis: int | None = None,
    factors: Sequence[int] = (),
) -> NDArray[np.float16]:
    """Probabilities (K *S) on the native grid; arguments are those of `resize_to_native`."""
    resized = resize_to_native(probabilities, shape, axis, factors)
    array: NDArray[np.float16] = resized.to("cpu").numpy().astype(np.float16)
    if axis is None:
        return array[0]
    return np.moveaxis(array.swapaxes(0, 1), 1, axis + 1)


def largest_components(label_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A label map (*S) with only the largest component of each class; corners connect."""
    from scipy import ndimage

    neighbours = np.ones((3,) * label_map.ndim)
    kept = np.zeros_like(label_map)
    for label in np.unique(label_map[label_map > 0]):
        components, _ = ndimage.label(label_map == label, neighbours)
        sizes = np.bincount(components.ravel())[1:]
        kept[components == sizes.argmax() + 1] = label
    return kept
