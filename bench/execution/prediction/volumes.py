"""Volumes that a model is applied to: as they are stored, and as the model was trained on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.api import Card, Spec
from bench.errors import BenchError
from bench.execution.prediction.images import ImageFiles

MOST_SHIFT = 0.1  # voxels by which the channels of a volume may lie apart


class VolumeFile(Protocol):
    """A NIfTI file that was read: where its voxels lie, and how label maps are written like it."""

    @property
    def grid(self) -> Any:
        """Where its voxels lie: `shape` (X Y Z), `affine` (4 4), `spacing` (mm, harness's axes)."""
        ...

    def to_harness(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Stored voxels (X Y Z) as data sets read them: Z Y X in one orientation."""
        ...

    def to_stored(self, array: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `to_harness`."""
        ...

    def write_labels(self, labels: NDArray[np.uint8], file: Path) -> None:
        """Write a label map (X Y Z) with the shape, spacing and orientation of this file."""
        ...


# Reads a file: a picture (C H W) and None, or a volume (C X Y Z) as stored and its file.
ImageReader = Callable[[Path], "tuple[NDArray[Any], VolumeFile | None]"]


def read_channels(
    image: ImageFiles, spec: Spec, read_image: ImageReader
) -> tuple[NDArray[np.float32], VolumeFile]:
    """The channels of a volume (C X Y Z) as stored, and the first file.

    They lie in one file (X Y Z C), or in a file for each.
    """
    channels: list[NDArray[np.float32]] = []
    grids = []
    for file in image.files:
        stored, source = read_image(file)
        assert source is not None
        channels += [*stored]
        grids.append(source)
    if len(channels) != spec.channels or len(grids) not in (1, spec.channels):
        raise BenchError(
            f"{image.first}: {len(channels)} channels; the model was trained on images of "
            f"{spec.channels}; {_how_to_give(spec.channels)}"
        )
    first = grids[0]
    for file, other in zip(image.files, grids, strict=True):
        reason = _difference(other.grid, first.grid)
        if reason:
            raise BenchError(
                f"{file} {reason} than {image.first}; expected one grid; resample one of them"
            )
    return np.stack(channels), first


def _how_to_give(channels: int) -> str:
    if channels == 1:
        return "save each channel, or frame, as a file of its own"
    return (
        "give them in one file, along its last axis, or in a file for each, named as nnU-Net "
        "names them: NAME_0000, NAME_0001"
    )


def _difference(grid: Any, first: Any) -> str | None:
    """How the grid of a channel differs from that of the first one."""
    if grid.shape != first.shape:
        return f"has another shape ({grid.shape})"
    corners = np.array([[0, 0, 0, 1], [*grid.shape, 1]], float).T
    shift = np.linalg.inv(first.affine) @ grid.affine @ corners - corners
    return "lies elsewhere" if np.abs(shift).max() > MOST_SHIFT else None


@dataclass(frozen=True, slots=True)
class Frame:
    """How stored voxels of a file become those that a data set's model was trained on."""

    card: Card
    source: VolumeFile

    def to_harness(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Stored voxels (X Y Z), or of a slice, as the data set reads them.

        Data sets that know no orientation have slices along axis 0 (Z Y X), or are as stored.
        """
        if self.card.oriented:
            return self.source.to_harness(voxels)
        return voxels.T if self.card.slice_axis == 0 else voxels

    def spacing(self) -> tuple[float, ...]:
        """mm along the axes of `to_harness`."""
        if self.card.oriented:
            return tuple(self.source.grid.spacing)
        steps = np.linalg.norm(self.source.grid.affine[:3, :3], axis=0).tolist()
        if self.card.slice_axis == 0:
            steps = steps[::-1]
        return tuple(steps)

    def spacing_in_slices(self) -> tuple[float, ...]:
        """mm along both axes of a slice."""
        steps = self.spacing()
        if len(steps) == 2:
            return steps
        return steps[: self.card.slice_axis] + steps[self.card.slice_axis + 1 :]

    def to_stored(self, array: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `to_harness`."""
        if self.card.oriented:
            return self.source.to_stored(array)
        return array.T if self.card.slice_axis == 0 else array
