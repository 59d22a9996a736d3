"""Decodes NIfTI files and turns them to one orientation; writes label maps like them."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataProblem
from datasets.readers.masks import as_class_numbers
from datasets.readers.nifti_header import (
    grid_of,
    is_oriented,
    kept_axes,
    refuse_broken_qform,
    spatial_shape,
)
from datasets.readers.opening import naming_file
from datasets.readers.stored_grid import StoredGrid, align

NO_ORIENTATION = "no orientation in the header (qform_code and sform_code are 0); axes as stored"
MOST_VOXELS = 2**30
BLOCK = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Volume:
    """A decoded NIfTI image, as stored: float32 in the units of the file."""

    voxels: NDArray[np.float32]  # X Y Z
    grid: StoredGrid


def read_volume(path: Path, frame: int | None = None) -> Volume:
    """An image with its grid; of X Y Z T, one frame. Raises DataProblem naming the file."""
    file = open_nifti(path)
    grid = grid_of(path, file, _shape_of(file, frame))
    return Volume(_part_of(_finite_voxels(path, file), frame).reshape(grid.shape), grid)


def _shape_of(file: Any, frame: int | None) -> tuple[int, ...]:
    """The shape of a file, or of one of its frames."""
    shape = tuple(file.shape)
    return shape if frame is None else shape[:-1]


def _part_of(values: NDArray[Any], frame: int | None) -> NDArray[Any]:
    return values if frame is None else values[..., frame]


def count_frames(path: Path) -> int:
    """T of a file X Y Z T, by its header. Raises DataProblem naming the file."""
    with naming_file(path):
        shape = tuple(open_nifti(path).shape)
    if len(shape) != 4:
        raise DataProblem(
            f"{path}: shape {shape}; expected (X, Y, Z, T), as dataset.json says that files hold "
            "frames; save it so, or drop 'frames' there"
        )
    return shape[-1]


def _finite_voxels(path: Path, file: Any) -> NDArray[np.float32]:
    """All values of a file as stored. Raises DataProblem where some are no numbers."""
    with naming_file(path), np.errstate(over="ignore"):  # what float32 cannot hold is refused
        whole = _unpacked(path, file)
        voxels: NDArray[np.float32] = whole.get_fdata(dtype=np.float32, caching="unchanged")
    unusable = int((~np.isfinite(voxels)).sum())
    if unusable:
        raise DataProblem(
            f"{path}: values that are not finite ({unusable} of {voxels.size}); "
            "expected numbers; replace them"
        )
    return voxels


def read_channels(path: Path, count: int) -> tuple[NDArray[np.float32], StoredGrid]:
    """An image (C *S as the harness has it) of a file that holds all its channels, and its grid.

    Channels lie along the last axis: X Y Z C. Raises DataProblem naming the file.
    """
    if not holds_channels(path, count):
        raise DataProblem(
            f"{path}: shape {tuple(open_nifti(path).shape)}; expected (X, Y, Z, {count}), the "
            "channels along the last axis, or a file for each channel; save it so"
        )
    voxels, grid = read_stored_channels(path)
    return np.stack([grid.to_harness(channel) for channel in voxels]), grid


def read_stored_channels(path: Path) -> tuple[NDArray[np.float32], StoredGrid]:
    """All channels of a file as stored (C X Y Z), and its grid: one, or those of a last axis.

    Raises DataProblem naming the file.
    """
    file = open_nifti(path)
    shape = tuple(file.shape)
    if len(shape) < 4 or shape[-1] == 1:
        volume = read_volume(path)
        return volume.voxels[None], volume.grid
    grid = grid_of(path, file, shape[:-1])
    voxels = _finite_voxels(path, file).reshape(*grid.shape, shape[-1])
    return np.moveaxis(voxels, -1, 0), grid


def holds_channels(path: Path, count: int) -> bool:
    """Whether a file holds so many channels, by its header. Raises DataProblem naming the file."""
    with naming_file(path):
        shape = tuple(open_nifti(path).shape)
    return len(shape) >= 4 and shape[-1] == count


def read_aligned_volume(
    path: Path, onto: StoredGrid, other: str, frame: int | None = None
) -> NDArray[np.float32]:
    """Another channel (X Y Z) of an image on its grid. Raises DataProblem naming the file."""
    volume = read_volume(path, frame)
    return align(path, volume.voxels, volume.grid, onto, other)


def read_stack(
    files: Sequence[Path], frame: int | None = None
) -> tuple[NDArray[np.float32], StoredGrid]:
    """An image (C *S as the harness has it) of one file for each channel, and the first one's grid.

    Of files X Y Z T it takes one frame. Raises DataProblem naming the file, also where a channel
    lies elsewhere than the first.
    """
    first = read_volume(files[0], frame)
    grid = first.grid
    channels = [grid.to_harness(first.voxels)]
    for path in files[1:]:
        voxels = read_aligned_volume(path, grid, files[0].name, frame)
        channels.append(grid.to_harness(voxels))
    return np.stack(channels), grid


def read_nifti_mask(
    path: Path, classes: Sequence[str], onto: StoredGrid, other: str, frame: int | None = None
) -> NDArray[np.uint8]:
    """A mask of class numbers (*S as the harness has it) on the grid of its image `other`.

    Of a file X Y Z T it takes one frame. Raises DataProblem naming the file where it lies elsewhere
    or holds other values.
    """
    levels, grid = read_levels(path, frame)
    numbers = as_class_numbers(path, levels, classes)
    return onto.to_harness(align(path, numbers, grid, onto, other))


def read_levels(path: Path, frame: int | None = None) -> tuple[NDArray[Any], StoredGrid]:
    """The values of a mask (X Y Z) and its grid. Raises DataProblem naming the file."""
    file = open_nifti(path)
    grid = grid_of(path, file, _shape_of(file, frame))
    with naming_file(path):
        levels = np.asanyarray(_unpacked(path, file).dataobj)
    return _part_of(levels, frame).reshape(grid.shape), grid


def count_dimensions(path: Path, parts: int = 1) -> int:
    """2 for a single slice, 3 for a volume, from the header. Raises DataProblem naming the file.

    The last of four axes may be that of so many channels or frames.
    """
    with naming_file(path):
        shape = tuple(open_nifti(path).shape)
    return len(kept_axes(path, spatial_shape(shape, parts)))


def thickest_axis(path: Path, parts: int = 1) -> int:
    """The axis of the harness (0 of Z Y X) across thick slices; 0 unless one axis is far coarser.

    The last of four axes may be that of so many channels or frames. Raises DataProblem naming the
    file.
    """
    file = open_nifti(path)
    spacing = grid_of(path, file, spatial_shape(tuple(file.shape), parts)).spacing
    coarsest = int(np.argmax(spacing))
    others = [step for axis, step in enumerate(spacing) if axis != coarsest]
    return coarsest if spacing[coarsest] > 1.5 * max(others) else 0


def open_nifti(path: Path) -> Any:
    """The file's header; its voxels are read later. Raises DataProblem naming the file.

    Refused by name: complex and colour values, more voxels than fit in memory, and a broken qform.
    """
    import nibabel  # only those who have such files pay for the import

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # headers are checked here
    with naming_file(path):
        file: Any = nibabel.load(path)
        stored = np.dtype(file.get_data_dtype())
        shape = tuple(file.shape)
        _ = file.affine, file.header.get_zooms()
    refuse_broken_qform(path, file.header)
    if stored.kind not in "iuf":
        kind = "colours" if stored.names else str(stored)
        raise DataProblem(
            f"{path}: values of type {kind}; expected real numbers; "
            "save each channel or part in a file of its own"
        )
    if prod(shape) > MOST_VOXELS:
        raise DataProblem(
            f"{path}: shape {shape}; expected at most {MOST_VOXELS} voxels; crop or resample it"
        )
    return file


def _unpacked(path: Path, file: Any) -> Any:
    """The file, read to its end if it is packed: its checksum stands there.

    nibabel stops at the last voxel, so that a damaged file would give other voxels.
    """
    if path.suffix.lower() != ".gz":
        return file
    most = file.dataobj.offset + prod(file.shape) * file.get_data_dtype().itemsize
    with gzip.open(path) as stream:
        content = stream.read(most)
        while stream.read(BLOCK):
            pass
    return type(file).from_bytes(content)


def write_label_map(path: Path, labels: NDArray[np.uint8], like: Path) -> None:
    """Write a label map (X Y Z) in the shape and with the orientation of another NIfTI file.

    Where that file holds several channels, the label map has its shape without their axis.
    """
    import nibabel

    source = open_nifti(like)
    header = source.header
    affine = source.affine if is_oriented(source) else None
    shape = tuple(source.shape)
    if prod(shape) != labels.size:
        shape = shape[:-1]
    image: Any = nibabel.Nifti1Image(labels.reshape(shape), affine)  # type: ignore[no-untyped-call]
    image.header.set_zooms(header.get_zooms()[: len(shape)])
    if hasattr(header, "get_sform"):
        image.set_sform(*header.get_sform(coded=True))
        image.set_qform(*header.get_qform(coded=True))
        image.header["xyzt_units"] = header["xyzt_units"]
    image.header["descrip"] = b"ScarceBench"
    nibabel.save(image, path)
