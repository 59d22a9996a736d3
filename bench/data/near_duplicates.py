"""Near-duplicate images: thumbnails find look-alikes, pixels at full detail confirm copies.

Look-alike anatomy is no copy: two fundus images agree in everything that a thumbnail shows. A pair
is a copy if its fine structure agrees almost everywhere (protocol R1.6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Thumbs = NDArray[np.float32]  # N 32 32
Grey = NDArray[np.float32]  # *S
Pairs = NDArray[np.intp]  # P 2
ReadImage = Callable[[int], NDArray[Any]]  # the image (C *S) of a position

# Chosen on JPEG copies (quality 50 and up), rescaled, brighter and shifted copies of six public
# data sets, and on pairs of different patients (docs/protocol.md, R1.6).
GROSS_CORRELATION = 0.7  # of thumbnails, at 16 by 16
OUTLINE_CORRELATION = 0.6  # of thumbnails without their smooth part, at the best of 9 shifts
COPY_SIMILARITY = 0.72
SIDE = 32
ROWS_AT_ONCE = 512  # keeps the table of correlations below 50 MB for 20 000 images

DETAIL_SIDE = {2: 256, 3: 96}  # px, of the longest side on the grid where pixels are compared
FINE = 1.5  # px: what is smaller is noise and traces of compression
COARSE = 4.0  # px: what is larger is gross anatomy and lighting
CROP = 8  # px: sizes that differ by less may be crops of one image
BLOCK = 16  # px
LEAST_BLOCKS = 8  # with structure in both images; fewer say nothing
DETAILS_KEPT = 512  # prepared images, 256 kB each


def thumbnail(image: NDArray[Any], slice_axis: int = 0) -> Grey:
    """Grey picture (32 32) of mean 0 and deviation 1: one threshold serves every modality.

    Of a volume (C *S), the mean over its slices: a shift by some slices does not change it.
    """
    grey = image.mean(axis=0, dtype=np.float32)
    if grey.ndim == 3:
        grey = grey.mean(axis=slice_axis, dtype=np.float32)
    small = _resize_plane(grey, (SIDE, SIDE))
    centred = small - small.mean()
    return centred / max(float(centred.std()), 1e-6)


def alike_in_the_gross(thumbs_a: Thumbs, thumbs_b: Thumbs) -> Pairs:
    """Index pairs (P 2) whose thumbnails correlate; a picture of one grey is like no other."""
    flat_a = _unit_vectors(_halve(thumbs_a))
    flat_b = _unit_vectors(_halve(thumbs_b)).T
    pairs = [np.zeros((0, 2), np.intp)]
    for start in range(0, len(flat_a), ROWS_AT_ONCE):
        correlation = flat_a[start : start + ROWS_AT_ONCE] @ flat_b
        alike = np.argwhere(correlation >= GROSS_CORRELATION)
        pairs.append(alike + np.array((start, 0)))
    return np.concatenate(pairs)


def alike_in_outline(pairs: Pairs, thumbs_a: Thumbs, thumbs_b: Thumbs) -> Pairs:
    """The pairs (P 2) whose thumbnails correlate without their smooth part, up to a small shift."""
    outlines_a = _outlines(thumbs_a)
    outlines_b = _outlines(thumbs_b)
    kept = [np.zeros((0, 2), np.intp)]
    for part in np.array_split(pairs, len(pairs) // ROWS_AT_ONCE + 1):
        fixed = _unit_vectors(outlines_a[part[:, 0]])
        best = np.full(len(part), -1, np.float32)
        for shift in product((-1, 0, 1), repeat=2):
            moved = _unit_vectors(np.roll(outlines_b[part[:, 1]], shift, axis=(1, 2)))
            best = np.maximum(best, (fixed * moved).sum(1))
        kept.append(part[best >= OUTLINE_CORRELATION])
    return np.concatenate(kept)


def confirmed(pairs: Pairs, read_a: ReadImage, read_b: ReadImage) -> list[tuple[int, int]]:
    """The pairs whose pixels confirm them; images (C *S) are read again as they are needed."""

    @lru_cache(DETAILS_KEPT)
    def prepared_a(position: int) -> tuple[tuple[int, ...], Grey]:
        return _prepare(read_a(position))

    @lru_cache(DETAILS_KEPT)
    def prepared_b(position: int) -> tuple[tuple[int, ...], Grey]:
        return _prepare(read_b(position))

    copies = []
    for a, b in pairs.tolist():
        shape_a, detail_a = prepared_a(a)
        shape_b, detail_b = prepared_b(b)
        if shape_a == shape_b:
            score = _agreement(detail_a, detail_b)
        else:
            score = similarity(read_a(a), read_b(b))
        if score >= COPY_SIMILARITY:
            copies.append((a, b))
    return copies


def _prepare(image: NDArray[Any]) -> tuple[tuple[int, ...], Grey]:
    """The size (*S) of an image and its detail, for pairs of equal size."""
    return image.shape[1:], _detail(_grey(image))


def similarity(first: NDArray[Any], second: NDArray[Any]) -> float:
    """How far the fine structure of two images (C *S) agrees, from 0 to 1; copies are near 1.

    Brightness, contrast, size and shifts by a few pixels do not matter. An image without structure
    agrees with none.
    """
    grey_a = _grey(first)
    grey_b = _grey(second)
    if grey_a.ndim != grey_b.ndim:
        return 0.0
    shape = tuple(map(min, grey_a.shape, grey_b.shape))
    score = _agreement(_detail(grey_a, shape), _detail(grey_b, shape))
    sides = zip(grey_a.shape, grey_b.shape, strict=True)
    is_crop = all(abs(a - b) <= CROP for a, b in sides)
    if is_crop and grey_a.shape != grey_b.shape:
        window = tuple(slice(side) for side in shape)
        cropped = _agreement(_detail(grey_a[window]), _detail(grey_b[window]))
        score = max(score, cropped)
    return score


def _grey(image: NDArray[Any]) -> Grey:
    """The mean of the channels (*S)."""
    return image.mean(axis=0, dtype=np.float32)


def _detail(grey: Grey, shape: tuple[int, ...] | None = None) -> Grey:
    """Structure between FINE and COARSE on a grid of `shape`, made smaller where that is large.

    Strong edges are clipped: the rim of the field of view, which all images of one camera share,
    must not decide.
    """
    from scipy.ndimage import gaussian_filter

    wanted = shape or grey.shape
    factor = min(1.0, DETAIL_SIDE[grey.ndim] / max(wanted))
    small = _resize(grey, tuple(max(round(side * factor), 1) for side in wanted))
    band = gaussian_filter(small, FINE, mode="nearest")
    band -= gaussian_filter(small, COARSE, mode="nearest")
    return _clip_strong(band, 1e-3 * float(small.std()))


def _clip_strong(band: Grey, least: float) -> Grey:
    """Values clipped at three times the median of those that are not zero."""
    strength = np.abs(band)
    live = strength[strength > max(least, 1e-9)]
    if not live.size:
        return np.zeros_like(band)
    limit = 3 * float(np.median(live))
    return np.clip(band, -limit, limit)


def _agreement(detail_a: Grey, detail_b: Grey) -> float:
    """Lower quartile, over blocks with structure in both, of their correlation after a shift."""
    detail_a, detail_b = _overlap(detail_a, detail_b, _best_shift(detail_a, detail_b))
    blocks_a = _blocks(detail_a)
    blocks_b = _blocks(detail_b)
    strength_a = np.sqrt((blocks_a**2).mean(1))
    strength_b = np.sqrt((blocks_b**2).mean(1))
    has_structure_a = strength_a > _least_strength(strength_a)
    has_structure_b = strength_b > _least_strength(strength_b)
    both = has_structure_a & has_structure_b
    fewer = min(int(has_structure_a.sum()), int(has_structure_b.sum()))
    if both.sum() < max(LEAST_BLOCKS, fewer / 2):
        return 0.0
    products = (blocks_a[both] * blocks_b[both]).mean(1)
    correlations = products / (strength_a[both] * strength_b[both])
    return max(0.0, float(np.quantile(correlations, 0.25)))


def _least_strength(strength: NDArray[np.float32]) -> float:
    """The strength below which a block holds noise."""
    live = strength[strength > 0]
    if not live.size:
        return 0.0
    return 0.3 * max(float(np.median(live)), float(np.quantile(strength, 0.95)))


def _best_shift(first: Grey, second: Grey) -> tuple[int, ...]:
    """By how many pixels `first` is moved against `second`, at most a sixteenth of the side.

    Found at half the size, where the structure still has twice the pixels that it needs, and then
    to one pixel.
    """
    every_other = (slice(None, None, 2),) * first.ndim
    reach = max(2, max(first.shape) // 32)
    coarse = _correlation_peak(first[every_other], second[every_other], reach)
    best = (-np.inf, coarse)
    for step in product((-1, 0, 1), repeat=first.ndim):
        shift = tuple(2 * whole + one for whole, one in zip(coarse, step, strict=True))
        best = max(best, (float(_mean_product(first, second, shift)), shift))
    return best[1]


def _correlation_peak(first: Grey, second: Grey, reach: int) -> tuple[int, ...]:
    """The shift, up to `reach` along each axis, with the largest cross-correlation."""
    from scipy import fft

    padded = [fft.next_fast_len(side + reach, real=True) for side in first.shape]
    spectrum = fft.rfftn(first, padded) * np.conj(fft.rfftn(second, padded))
    correlation = fft.irfftn(spectrum, padded)
    shifts = []
    for side in first.shape:
        most = min(reach, side - 1)
        shifts.append(np.arange(-most, most + 1))
    near = correlation[np.ix_(*shifts)]
    peak = np.unravel_index(int(near.argmax()), near.shape)
    return tuple(int(along[where]) for along, where in zip(shifts, peak, strict=True))


def _mean_product(first: Grey, second: Grey, shift: Sequence[int]) -> float:
    if any(abs(by) >= side for by, side in zip(shift, first.shape, strict=True)):
        return -np.inf
    part_a, part_b = _overlap(first, second, shift)
    return float(np.vdot(part_a, part_b)) / part_a.size


def _overlap(first: Grey, second: Grey, shift: Sequence[int]) -> tuple[Grey, Grey]:
    """What both show if `first` is moved by `shift` pixels against `second`."""
    of_first = []
    of_second = []
    for by, side in zip(shift, first.shape, strict=True):
        of_first.append(slice(max(by, 0), side + min(by, 0)))
        of_second.append(slice(max(-by, 0), side + min(-by, 0)))
    return first[tuple(of_first)], second[tuple(of_second)]


def _blocks(detail: Grey) -> NDArray[np.float32]:
    """Blocks (N values) of mean 0; what is left at the far edges is cut off."""
    sides = [min(BLOCK, max(4, side // 5)) for side in detail.shape]
    shape: list[int] = []
    window = []
    for side, block in zip(detail.shape, sides, strict=True):
        shape += [side // block, block]
        window.append(slice(side // block * block))
    table = detail[tuple(window)].reshape(shape)
    within = tuple(range(1, 2 * detail.ndim, 2))
    table = np.moveaxis(table, within, tuple(range(detail.ndim, 2 * detail.ndim)))
    flat = table.reshape(-1, int(np.prod(sides)))
    return flat - flat.mean(1, keepdims=True) if len(flat) else flat


def _resize(grey: Grey, shape: tuple[int, ...]) -> Grey:
    """A picture or volume on another grid; of a volume, each axis apart."""
    if grey.shape == shape:
        return grey
    if grey.ndim == 2:
        return _resize_plane(grey, shape)
    planes = [_resize_plane(plane, shape[1:]) for plane in grey]
    rows = np.stack(planes).reshape(len(grey), -1)
    return _resize_plane(rows, (shape[0], rows.shape[1])).reshape(shape)


def _resize_plane(plane: Grey, shape: tuple[int, ...]) -> Grey:
    """Each pixel the mean of what it covers; where the grid is finer, between its neighbours."""
    method = Image.Resampling.BOX
    if shape[0] > plane.shape[0] or shape[1] > plane.shape[1]:
        method = Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(plane).resize((shape[1], shape[0]), method))


def _halve(thumbs: Thumbs) -> Thumbs:
    """Thumbnails at half the size, each cell the mean of four."""
    half = SIDE // 2
    return thumbs.reshape(len(thumbs), half, 2, half, 2).mean((2, 4))


def _outlines(thumbs: Thumbs) -> Thumbs:
    """Thumbnails without their smooth part, strong edges clipped."""
    from scipy.ndimage import gaussian_filter

    bands = thumbs - gaussian_filter(thumbs, (0, 2, 2), mode="nearest")
    outlines = np.zeros_like(bands)
    for number, band in enumerate(bands):
        outlines[number] = _clip_strong(band, 1e-3)
    return outlines


def _unit_vectors(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pictures (N H W) as vectors (N P) of mean 0 and length 1; one of one grey stays 0."""
    flat = pictures.reshape(len(pictures), int(np.prod(pictures.shape[1:])))
    centred = flat - flat.mean(1, keepdims=True)
    lengths = np.sqrt((centred**2).sum(1, keepdims=True))
    vectors: NDArray[np.float32] = centred / np.maximum(lengths, 1e-6)
    return vectors
