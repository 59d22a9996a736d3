"""Near-duplicate images: a 64-bit difference hash finds candidates, thumbnails confirm them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Hashes = NDArray[np.uint64]  # N
Thumbs = NDArray[np.float32]  # N 32 32
Grey = NDArray[np.float32]  # H W

HASH_DISTANCE = 4  # bits of 64 (protocol R1.6)
# Mean absolute difference in standard deviations of the picture. On Kvasir-SEG true copies lie at
# 0.07 and below, the nearest other pair with close hashes at 0.24. Copies that were recompressed,
# brightened or resized stay below 0.08.
THUMB_DISTANCE = 0.15
SIDE = 32
ROWS_AT_ONCE = 512  # keeps the table of distances below 100 MB for 20 000 images


def dhash(image: NDArray[Any], slice_axis: int = 0) -> np.uint64:
    """Difference hash of an image (C *S): one bit per step to the right on a grid of 8 by 9."""
    small = _shrink(_plane(image, slice_axis), 9, 8)
    bits = (small[:, 1:] > small[:, :-1]).ravel()  # 64
    return np.packbits(bits).view(np.uint64)[0]


def thumbnail(image: NDArray[Any], slice_axis: int = 0) -> Grey:
    """Grey picture (32 32) of mean 0 and deviation 1: one threshold serves every modality."""
    small = _shrink(_plane(image, slice_axis), SIDE, SIDE)
    centred = small - small.mean()
    return centred / max(float(centred.std()), 1e-6)


def near_duplicates(
    hashes_a: Hashes, thumbs_a: Thumbs, hashes_b: Hashes, thumbs_b: Thumbs
) -> list[tuple[int, int]]:
    """Index pairs (a, b) of images that are near-duplicates by hash and by thumbnail."""
    pairs = confirmed(close_hashes(hashes_a, hashes_b), thumbs_a, thumbs_b)
    return [(int(a), int(b)) for a, b in pairs]


def close_hashes(hashes_a: Hashes, hashes_b: Hashes) -> NDArray[np.intp]:
    """Index pairs (P 2) whose hashes differ in at most HASH_DISTANCE bits."""
    pairs = [np.zeros((0, 2), np.intp)]
    for start in range(0, len(hashes_a), ROWS_AT_ONCE):
        rows = hashes_a[start : start + ROWS_AT_ONCE, None]
        differing_bits = np.bitwise_count(rows ^ hashes_b[None])
        pairs.append(np.argwhere(differing_bits <= HASH_DISTANCE) + np.array((start, 0)))
    return np.concatenate(pairs)


def confirmed(pairs: NDArray[np.intp], thumbs_a: Thumbs, thumbs_b: Thumbs) -> NDArray[np.intp]:
    """The pairs (P 2) whose thumbnails agree too: hashes of smooth images meet by chance."""
    is_flat = thumbs_a.std(axis=(1, 2)) < 0.5  # of one grey: two blank slices are no copies
    pairs = pairs[~is_flat[pairs[:, 0]]]
    kept = []
    for part in np.array_split(pairs, len(pairs) // ROWS_AT_ONCE + 1):
        differences = np.abs(thumbs_a[part[:, 0]] - thumbs_b[part[:, 1]])
        kept.append(part[differences.mean(axis=(1, 2)) < THUMB_DISTANCE])
    return np.concatenate(kept)


def _plane(image: NDArray[Any], slice_axis: int) -> Grey:
    """Grey picture (H W): mean of the channels; of a volume (C *S) its middle slice."""
    if image.ndim == 4:
        image = np.take(image, image.shape[slice_axis + 1] // 2, axis=slice_axis + 1)
    return image.mean(axis=0, dtype=np.float32)


def _shrink(grey: Grey, width: int, height: int) -> Grey:
    """The picture on a small grid, each cell the mean of what it covers."""
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BOX))
