"""Borders of masks, and how far two of them lie apart.

medpy runs three distance transforms over the whole image; here each border voxel of a volume looks
for its nearest partner in growing rings, which takes few steps where two masks nearly agree.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_FAR = 20_000  # "no border in this column", in voxels; fits int16
_REACH = 16  # the ring search ends here, in voxels of the finest axis
# By dimensions: one far tree query takes about the time of transforming so many voxels.
_TREE_COST = {2: 20, 3: 200}


def check_masks(pred: NDArray[np.bool_], ref: NDArray[np.bool_]) -> None:
    """Raise a ValueError for masks that differ in shape or are not boolean.

    numpy would broadcast the former and `&` would compare the latter bit by bit, and both would
    give a wrong score without a warning.
    """
    if pred.shape != ref.shape:
        raise ValueError(
            f"prediction {pred.shape} and reference {ref.shape} differ in shape; resample first"
        )
    if pred.dtype != bool or ref.dtype != bool:
        raise ValueError(
            f"masks are {pred.dtype} and {ref.dtype}, not bool; compare with the class: `x == c`"
        )


def surface_distances(pred: Mask, ref: Mask, spacing: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Distance of every border voxel of `pred` to the border of `ref`, and the reverse.

    Both masks must hold a voxel; distances are in the unit of `spacing`.
    """
    box = _bounding_box(pred | ref)
    pred_border = border(pred[box])
    ref_border = border(ref[box])
    from_pred = _distances_to_nearest(pred_border, ref_border, spacing)
    from_ref = _distances_to_nearest(ref_border, pred_border, spacing)
    return from_pred, from_ref


def border(mask: Mask) -> Mask:
    """Voxels with a face neighbour outside the mask; the outside of the image counts as outside.

    This is medpy's `mask ^ binary_erosion(mask)` with connectivity 1, and does not change where the
    image is cropped to the mask.
    """
    core = (slice(1, -1),) * mask.ndim
    inner = mask[core].copy()
    for axis in range(mask.ndim):
        for shifted in (slice(None, -2), slice(2, None)):
            inner &= mask[(*core[:axis], shifted, *core[axis + 1 :])]
    edge = mask.copy()
    edge[core] &= ~inner
    return edge


def checked_spacing(pred: Mask, ref: Mask, spacing: tuple[float, ...] | None) -> tuple[float, ...]:
    """The spacing, 1 per axis for None; a ValueError for masks or a spacing that do not fit."""
    check_masks(pred, ref)
    if ref.ndim not in _TREE_COST:
        raise ValueError(
            f"masks of shape {ref.shape} are neither 2D nor 3D; pass one image or volume at a time"
        )
    if spacing is None:
        return (1.0,) * ref.ndim
    steps = tuple(float(step) for step in spacing)
    if len(steps) != ref.ndim or not all(0 < step < math.inf for step in steps):
        raise ValueError(
            f"spacing {spacing} does not fit a mask of shape {ref.shape}; give mm > 0 per axis"
        )
    return steps


def _bounding_box(mask: Mask) -> tuple[slice, ...]:
    """The smallest box that holds a non-empty mask; axis by axis, so that each scan is shorter."""
    box: list[slice] = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        occupied = np.flatnonzero(mask[tuple(box)].any(axis=others))
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)


def _distances_to_nearest(source: Mask, target: Mask, spacing: tuple[float, ...]) -> Floats:
    """Distance of every True of `source` to the nearest True of `target`."""
    points = np.stack(np.unravel_index(np.flatnonzero(source), source.shape), axis=1)
    # Borders are short in 2D, and the many small steps of the ring search cost more.
    if source.ndim == 2:
        return _tree_or_transform(points, target, spacing)
    distances, open_ = _ring_search(points, target, spacing)
    if open_.size:
        distances[open_] = _tree_or_transform(points[open_], target, spacing)
    return distances


def _ring_search(points: Ints, target: Mask, spacing: tuple[float, ...]) -> tuple[Floats, Ints]:
    """Distances of `points` (N D), and the indices of the points that it leaves open.

    With the distance along axis 0 known for every voxel, a point only compares the columns around
    it, nearest first, and is done when the next ring of columns is farther than its best. This is
    exact, because the rings grow.
    """
    reach = min(_REACH * min(spacing[1:]), spacing[0] * _FAR / 2)
    margins = _column_margins(target.shape, spacing, reach)
    padding = [(margin, margin) for margin in margins]
    columns = np.pad(_column_distance(target), padding, constant_values=_FAR)
    strides = np.array(columns.strides) // columns.itemsize
    flat = columns.ravel()
    positions = (points + margins) @ strides
    best = np.full(len(positions), np.inf)
    open_ = np.arange(len(positions))
    budget = 2 * target.size  # look-ups; about where the distance transform becomes cheaper
    for square, jumps in _rings(margins, spacing, reach, strides):
        open_ = open_[best[open_] > square]
        budget -= open_.size * len(jumps)
        if not open_.size or budget < 0:
            return np.sqrt(best), open_
        nearest = _nearest_in_ring(flat, positions[open_], jumps, spacing[0]) + square
        best[open_] = np.minimum(best[open_], nearest)
    return np.sqrt(best), open_[best[open_] > reach**2]


def _column_margins(shape: tuple[int, ...], spacing: tuple[float, ...], reach: float) -> list[int]:
    """Voxels by which the rings may step over each end of each axis: none along axis 0."""
    margins = [0]
    for step, side in zip(spacing[1:], shape[1:], strict=True):
        margins.append(int(min(reach / step, side - 1)))
    return margins


def _nearest_in_ring(flat: NDArray[np.int16], positions: Ints, jumps: Ints, step: float) -> Floats:
    """Smallest squared distance along axis 0 over the columns of one ring, for each position."""
    nearest = flat[positions + jumps[0]]
    for jump in jumps[1:]:
        np.minimum(nearest, flat[positions + jump], out=nearest)
    return np.square(np.multiply(nearest, step, dtype=np.float64))


def _rings(
    margins: list[int], spacing: tuple[float, ...], reach: float, strides: Ints
) -> Iterator[tuple[float, Ints]]:
    """(squared distance, flat index jumps) of the columns at equal distance, nearest ring first."""
    sides = [2 * margin + 1 for margin in margins]
    offsets = np.indices(sides).reshape(len(sides), -1).T - margins
    squares = np.square(offsets * spacing).sum(axis=1)
    order = np.argsort(squares, kind="stable")
    order = order[squares[order] <= reach**2]
    values, starts = np.unique(squares[order], return_index=True)
    rings = np.split(offsets[order] @ strides, starts[1:])
    for value, jumps in zip(values, rings, strict=True):
        yield float(value), jumps


def _column_distance(target: Mask) -> NDArray[np.int16]:
    """Voxels to the nearest True along axis 0, `_FAR` where the column has none."""
    distance = np.where(target, np.int16(0), np.int16(_FAR))
    for i in range(1, len(distance)):
        np.minimum(distance[i], distance[i - 1] + 1, out=distance[i])
    for i in range(len(distance) - 2, -1, -1):
        np.minimum(distance[i], distance[i + 1] + 1, out=distance[i])
    return distance


def _tree_or_transform(points: Ints, target: Mask, spacing: tuple[float, ...]) -> Floats:
    """Distances of `points` (N D), by a tree if they are few and by one transform otherwise.

    So masks of noise stay cheap.
    """
    if len(points) * _TREE_COST[target.ndim] > target.size:
        from scipy.ndimage import distance_transform_edt

        return distance_transform_edt(~target, sampling=spacing)[tuple(points.T)]
    from scipy.spatial import cKDTree

    # An unbalanced tree builds twice as fast and answers far queries faster.
    tree = cKDTree(np.argwhere(target) * spacing, balanced_tree=False, compact_nodes=False)
    return tree.query(points * spacing)[0]
