"""How the voxels of a NIfTI file lie in the patient, and how they are turned to one orientation.

Arrays of the harness are slices first (Z Y X), with X running to the right, Y to the front and Z to
the head (RAS+), whatever order and direction a file stores its axes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataProblem

Affine = NDArray[np.float64]  # 4 4: voxel indices X Y Z -> mm

PLACE_TOLERANCE = 0.1  # of a voxel: how far corners of two equal grids may lie apart
SPACING_TOLERANCE = 0.01  # relative
DIRECTION_TOLERANCE = 0.001  # of a unit vector


@dataclass(frozen=True, slots=True)
class Turn:
    """How stored axes become those of another frame."""

    targets: tuple[int, ...]  # where each stored axis goes
    flipped: tuple[int, ...]  # the stored axes that run the other way

    def apply(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Stored voxels in the other frame."""
        return np.flip(voxels, self.flipped).transpose(np.argsort(self.targets))

    def undo(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Voxels of the other frame as stored."""
        return np.flip(voxels.transpose(self.targets), self.flipped)


UNTURNED = Turn((0, 1, 2), ())


def turn_of(affine: Affine) -> Turn:
    """The turn that brings each stored axis to the nearest axis of the frame of an affine."""
    from nibabel.orientations import io_orientation

    orientation = io_orientation(affine)
    targets = tuple(int(axis) for axis in orientation[:, 0])
    flipped = tuple(int(axis) for axis in np.flatnonzero(orientation[:, 1] < 0))
    return Turn(targets, flipped)


@dataclass(frozen=True, slots=True)
class StoredGrid:
    """The grid of a NIfTI file, its axes as stored."""

    shape: tuple[int, ...]  # X Y Z
    is_slice: bool  # the file holds X Y, or X Y 1
    affine: Affine
    is_oriented: bool = True  # whether the header says where the axes point; if not, they stay

    @property
    def spacing(self) -> tuple[float, ...]:
        """mm along the axes of the harness: Z Y X, or H W of a slice."""
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        turned = [float(steps[stored]) for stored in np.argsort(turn_of(self.affine).targets)]
        if self.is_slice:
            del turned[self._slice_axis()]
        return tuple(turned[::-1])

    def to_harness(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """An array of this grid as the harness has it: Z Y X, or H W of a slice."""
        turned = turn_of(self.affine).apply(voxels.reshape(self.shape))
        if self.is_slice:
            turned = turned.squeeze(self._slice_axis())
        return np.ascontiguousarray(turned.T)

    def to_stored(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array as the harness has it (Z Y X, or H W) on this grid (X Y Z)."""
        turned = array.T
        if self.is_slice:
            turned = np.expand_dims(turned, self._slice_axis())
        return np.ascontiguousarray(turn_of(self.affine).undo(turned))

    def _slice_axis(self) -> int:
        """The axis across a slice after turning."""
        return turn_of(self.affine).targets[2]


def grid_of_case(shape: Sequence[int], affine: Affine) -> StoredGrid:
    """The stored grid of an image that the harness has with a shape (Z Y X, or H W)."""
    targets = turn_of(affine).targets
    turned = list(shape[::-1])
    is_slice = len(turned) == 2
    if is_slice:
        turned.insert(targets[2], 1)
    stored = tuple(turned[target] for target in targets)
    return StoredGrid(stored, is_slice, affine)


def align(
    path: Path, voxels: NDArray[Any], own: StoredGrid, onto: StoredGrid, other: str
) -> NDArray[Any]:
    """Voxels of a file (X Y Z) on the grid of another file, whose axes may be stored otherwise.

    Raises DataProblem, naming both files and the difference, where flipping and swapping axes does
    not bring one grid onto the other.
    """
    if own.is_oriented != onto.is_oriented:
        lacks, has = (path, other) if onto.is_oriented else (other, path)
        raise DataProblem(
            f"{path}: its orientation cannot be compared with that of {other}: the header of "
            f"{lacks} gives none (qform_code and sform_code are 0), that of {has} does; "
            "write the same affine into both"
        )
    between = np.linalg.inv(onto.affine) @ own.affine
    turn = turn_of(between)
    turned = turn.apply(voxels.reshape(own.shape))
    affine = _turned_affine(own, turn)
    if turned.shape != onto.shape:
        raise DataProblem(
            f"{path}: shape {turned.shape[::-1]}; expected {onto.shape[::-1]}, as {other} "
            "is stored, slices first; save both on one grid"
        )
    reason = _difference(affine, onto.affine, onto.shape)
    if reason:
        raise DataProblem(
            f"{path}: {reason}, as {other} has; resample it to that grid, or fix its header"
        )
    return turned


def _turned_affine(grid: StoredGrid, turn: Turn) -> Affine:
    """The affine of the voxels of a grid after a turn."""
    orders = np.argsort(turn.targets)
    affine = grid.affine.copy()
    for axis in turn.flipped:
        affine[:3, 3] += affine[:3, axis] * (grid.shape[axis] - 1)
        affine[:3, axis] *= -1
    affine[:3, :3] = affine[:3, orders]
    return affine


def _difference(own: Affine, expected: Affine, shape: Sequence[int]) -> str | None:
    """How two affines of one shape differ, in words; None where they agree."""
    apart = _corner_distance(own, expected, shape)
    own_steps = np.linalg.norm(own[:3, :3], axis=0)
    steps = np.linalg.norm(expected[:3, :3], axis=0)
    if apart <= PLACE_TOLERANCE * steps.min():
        return None
    if (abs(own_steps / steps - 1) > SPACING_TOLERANCE).any():
        return f"spacing {_shown(own_steps)} mm; expected {_shown(steps)}"
    directions = own[:3, :3] / own_steps
    expected_directions = expected[:3, :3] / steps
    if (abs(directions - expected_directions) > DIRECTION_TOLERANCE).any():
        return f"directions {_shown(directions.T)}; expected {_shown(expected_directions.T)}"
    return (
        f"origin {_shown(own[:3, 3])} mm; expected {_shown(expected[:3, 3])} "
        f"(corners lie {apart:.3g} mm apart)"
    )


def _corner_distance(own: Affine, expected: Affine, shape: Sequence[int]) -> float:
    """mm between the corners of two grids of one shape, at most."""
    ends = [(0, side - 1) for side in shape]
    corners = np.array([(*corner, 1) for corner in product(*ends)])
    offsets = corners @ (own - expected).T
    return float(np.linalg.norm(offsets[:, :3], axis=1).max())


def _shown(values: Any) -> str:
    """Numbers for a message, such as (1, 0.5, 3)."""
    array = np.asarray(values)
    if array.ndim > 1:
        return " ".join(_shown(row) for row in array)
    return f"({', '.join(f'{value:g}' for value in array)})"
