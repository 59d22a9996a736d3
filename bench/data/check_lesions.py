"""How large lesions are, what a training grid leaves of them, and which grid keeps them all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.api import Card
from bench.data import geometry
from bench.data.decoded_case import LARGEST_GRID, Grid, classes_in, mask_on_grid

STEP = 32  # pixels: proposed sizes are multiples, which all networks take
FINER = (1.5, 2, 3, 4, 6, 8, 12, 16)  # times a size in 2D that does not suffice


@dataclass(frozen=True, slots=True)
class LesionSizes:
    """The lesions of a class in all cases: regions whose pixels touch, at corners too."""

    name: str
    cases: int  # that have some
    lesions: int
    smallest: int  # pixels or voxels
    median: float
    largest: int
    smallest_on_grid: float | None = None  # pixels that they would have there; None without a grid
    median_on_grid: float | None = None


def lesions_in(mask: NDArray[np.uint8], classes: int) -> tuple[NDArray[np.int64], ...]:
    """The sizes of all lesions of each class in a mask (*S), those of the background left out."""
    from scipy import ndimage  # a second to import

    neighbours = np.ones((3,) * mask.ndim)
    sizes = [np.zeros(0, np.int64)]
    for number in range(1, classes):
        components, _ = ndimage.label(mask == number, neighbours)
        sizes.append(np.bincount(components.ravel())[1:].astype(np.int64))
    return tuple(sizes)


def scale_to(grid: Grid, shape: Sequence[int], card: Card) -> float:
    """How many pixels of a training grid one pixel of an image (*S) becomes."""
    if len(grid.size) == 3:
        return 1 / math.prod(grid.shrink)
    plane = list(shape)
    if len(plane) == 3:
        del plane[card.slice_axis]
    return math.prod(grid.size) / math.prod(plane)


def classes_lost(mask: NDArray[np.uint8], card: Card, grid: Grid) -> tuple[int, ...]:
    """The classes of a mask (*S) of which nothing is left on a training grid."""
    plane = list(mask.shape)
    if len(plane) > len(grid.size):
        del plane[card.slice_axis]
    if len(grid.size) == 2 and all(a >= b for a, b in zip(grid.size, plane, strict=True)):
        return ()  # each pixel is there, once at least
    parts: Iterable[NDArray[np.uint8]] = [mask]
    if mask.ndim > len(grid.size):
        parts = geometry.mask_slices(mask, card.slice_axis)
    left: set[int] = set()
    for part in parts:
        left.update(classes_in(mask_on_grid(part, grid), card))
    return tuple(number for number in classes_in(mask, card) if number not in left)


def finer_grids(grid: Grid) -> list[Grid]:
    """Grids that keep more, from the next one on."""
    if len(grid.size) == 2:
        grids = []
        for factor in FINER:
            size = tuple(_multiple(side * factor) for side in grid.size)
            if math.prod(size) <= LARGEST_GRID:
                grids.append(Grid(size))
        return grids
    grids = []
    shrink = grid.shrink
    while max(shrink) > 1:
        most = max(shrink)
        shrink = tuple(factor - (factor == most) for factor in shrink)
        grids.append(replace(grid, shrink=shrink))
    return grids


def _multiple(side: float) -> int:
    return STEP * math.ceil(side / STEP)


def first_without_loss(
    masks_lost: Iterable[Sequence[tuple[int, ...]]], grids: Sequence[Grid]
) -> Grid | None:
    """The first of some grids on which no case loses a class; None if there is none.

    `masks_lost` holds, for each case, the classes that it loses on each grid.
    """
    has_loss = [False] * len(grids)
    for lost in masks_lost:
        for position, classes in enumerate(lost):
            has_loss[position] |= bool(classes)
    for grid, loses in zip(grids, has_loss, strict=True):
        if not loses:
            return grid
    return None


def sizes_of_class(
    name: str, sizes: Sequence[NDArray[np.int64]], scales: Sequence[float | None]
) -> LesionSizes | None:
    """The lesions of a class, from their sizes in each case; None where no case has any.

    `scales` are those of `scale_to`, or None without a grid.
    """
    pairs = [(one, scale) for one, scale in zip(sizes, scales, strict=True) if one.size]
    if not pairs:
        return None
    lesions = np.concatenate([one for one, _ in pairs])
    counts = LesionSizes(
        name,
        len(pairs),
        len(lesions),
        int(lesions.min()),
        float(np.median(lesions)),
        int(lesions.max()),
    )
    if any(scale is None for _, scale in pairs):
        return counts
    scaled = np.concatenate([one * float(scale or 0) for one, scale in pairs])
    return replace(
        counts,
        smallest_on_grid=float(scaled.min()),
        median_on_grid=float(np.median(scaled)),
    )
