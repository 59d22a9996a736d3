"""Decodes NIfTI files, turns them to one orientation and compares where they lie."""

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
from datasets.readers.opening import naming_file
from datasets.readers.stored_grid import UNTURNED, Affine, StoredGrid, align, turn_of

NO_ORIENTATION = "no orientation in the header (qform_code and sform_code are 0); axes as stored"
MOST_VOXELS = 2**30
BLOCK = 2**20  # bytes
MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # by the code of a unit: none, m, mm, micron
STEP_TOLERANCE = 0.01  # between pixdim and affine, relative


@dataclass(frozen=True, slots=True)
class Volume:
    """A decoded NIfTI image, as stored: float32 in the units of the file."""

    voxels: NDArray[np.float32]  # X Y Z
    grid: StoredGrid


def read_volume(path: Path, frame: int | None = None) -> Volume:
    """An image with its grid; of X Y Z T, one frame. Raises DataProblem naming the file."""
    file = open_nifti(path)
    grid = _grid_of(path, file, _shape_of(file, frame))
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
    grid = _grid_of(path, file, shape[:-1])
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
    grid = _grid_of(path, file, _shape_of(file, frame))
    with naming_file(path):
        levels = np.asanyarray(_unpacked(path, file).dataobj)
    return _part_of(levels, frame).reshape(grid.shape), grid


def count_dimensions(path: Path, parts: int = 1) -> int:
    """2 for a single slice, 3 for a volume, from the header. Raises DataProblem naming the file.

    The last of four axes may be that of so many channels or frames.
    """
    with naming_file(path):
        shape = tuple(open_nifti(path).shape)
    return len(_kept_axes(path, _spatial_shape(shape, parts)))


def thickest_axis(path: Path, parts: int = 1) -> int:
    """The axis of the harness (0 of Z Y X) across thick slices; 0 unless one axis is far coarser.

    The last of four axes may be that of so many channels or frames. Raises DataProblem naming the
    file.
    """
    file = open_nifti(path)
    spacing = _grid_of(path, file, _spatial_shape(tuple(file.shape), parts)).spacing
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
    _refuse_broken_qform(path, file.header)
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
    affine = source.affine if _is_oriented(source) else None
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


def _spatial_shape(shape: tuple[int, ...], parts: int) -> tuple[int, ...]:
    """The shape of a file without its axis of channels or frames, if it has one."""
    holds_all = parts > 1 and len(shape) >= 4 and shape[-1] == parts
    return shape[:-1] if holds_all else shape


def _kept_axes(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The stored axes of a single slice (two) or of a volume (three).

    A slice may lie along any of three axes. Raises DataProblem on fewer or more dimensions.
    """
    ndim = len(shape)
    while ndim > 2 and shape[ndim - 1] == 1:
        ndim -= 1
    if ndim not in (2, 3) or 0 in shape:
        raise DataProblem(
            f"{path}: shape {shape}; expected (X, Y) or (X, Y, Z); save one file for each channel"
        )
    axes = tuple(range(ndim))
    if ndim == 3 and 1 in shape[:3]:
        single = shape.index(1)
        axes = tuple(axis for axis in axes if axis != single)
    return axes


def _is_oriented(file: Any) -> bool:
    """Whether a header says where the axes point; formats other than NIfTI always do."""
    header = file.header
    if "sform_code" not in header:
        return True
    return int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0


def _grid_of(path: Path, file: Any, spatial: tuple[int, ...]) -> StoredGrid:
    """The grid of a file of a shape, in mm; of a slice, the axis across it comes last.

    Raises DataProblem on a header that does not say where it lies.
    """
    axes = _kept_axes(path, spatial)
    is_slice = len(axes) == 2
    shape = tuple(spatial[axis] for axis in axes)
    if is_slice:
        shape = (*shape, 1)
    scale = _unit_of(path, file)
    steps = _stated_steps(path, file)[list(axes)] * scale
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        raise DataProblem(
            f"{path}: spacing {steps.tolist()} in the header; expected mm above 0; fix pixdim"
        )
    if not _is_oriented(file):
        affine = np.diag([*steps, *[1.0] * (4 - len(steps))])
        return StoredGrid(shape, is_slice, affine, is_oriented=False)
    _refuse_two_orientations(path, file)
    affine = _usable_affine(path, _with_columns(file.affine, axes), is_slice)
    affine[:3] *= scale
    _refuse_two_spacings(path, steps, affine)
    return StoredGrid(shape, is_slice, affine)


def _refuse_two_spacings(path: Path, steps: NDArray[np.float64], affine: Affine) -> None:
    stated = np.linalg.norm(affine[:3, : len(steps)], axis=0)
    if (abs(stated / steps - 1) > STEP_TOLERANCE).any():
        raise DataProblem(
            f"{path}: two spacings in the header, {steps.round(6).tolist()} mm (pixdim) and "
            f"{stated.round(6).tolist()} mm (affine); expected one; fix the header"
        )


def _with_columns(affine: Affine, axes: tuple[int, ...]) -> Affine:
    """An affine whose first columns are those of some axes."""
    others = [axis for axis in range(4) if axis not in axes]
    return np.array(affine, np.float64)[:, [*axes, *others]]


def _stated_steps(path: Path, file: Any) -> NDArray[np.float64]:
    """The steps along all axes as the header states them: nibabel itself takes 1 for 0."""
    header = file.header
    if "pixdim" not in header:
        return np.array(header.get_zooms(), np.float64)
    with naming_file(path), file.file_map["image"].get_prepare_fileobj("rb") as stream:
        stated = type(header).from_fileobj(stream, check=False)
    return np.array(stated["pixdim"][1:], np.float64)


def _unit_of(path: Path, file: Any) -> float:
    """mm in one unit of length of a header. Raises DataProblem on a unit that there is not."""
    if "xyzt_units" not in file.header:
        return 1.0
    code = int(file.header["xyzt_units"]) % 8  # above them stands the unit of time
    if code not in MM:
        raise DataProblem(
            f"{path}: a unit of lengths with the code {code} in the header; expected 2 (mm), "
            "1 (m) or 3 (micron); fix xyzt_units"
        )
    return MM[code]


def _refuse_broken_qform(path: Path, header: Any) -> None:
    """Raise DataProblem on a qform that is said to hold and gives no turn.

    nibabel passes over it where there is an sform, other programs do not.
    """
    if "qform_code" not in header or header["qform_code"] <= 0:
        return
    try:
        is_usable = bool(np.isfinite(header.get_qform()).all())
    except Exception:  # nibabel raises various kinds on quaternions that are none
        is_usable = False
    if not is_usable:
        raise DataProblem(
            f"{path}: a qform in the header that is no turn (quatern_b, quatern_c, quatern_d); "
            "expected numbers whose squares sum to 1 at most; fix it, or set qform_code to 0"
        )


def _refuse_two_orientations(path: Path, file: Any) -> None:
    """Raise DataProblem where the two forms of a header turn the axes differently.

    Programs differ in which of them they follow: a mask drawn by one may be a mirror image here.
    """
    header = file.header
    has_both = "sform_code" in header and header["sform_code"] > 0 and header["qform_code"] > 0
    if not has_both:
        return
    forms = [header.get_sform(), header.get_qform()]
    if not all(_is_invertible(form) for form in forms):
        return
    if turn_of(np.linalg.inv(forms[1]) @ forms[0]) != UNTURNED:
        codes = [_axis_codes(form) for form in forms]
        raise DataProblem(
            f"{path}: two orientations in the header, {codes[0]} (sform) and {codes[1]} (qform); "
            "expected one; fix the header, or set qform_code to 0"
        )


def _is_invertible(affine: Affine) -> bool:
    return bool(np.isfinite(affine).all()) and abs(np.linalg.det(affine)) > 0


def _axis_codes(affine: Affine) -> str:
    """Where the stored axes point, such as RAS."""
    from nibabel.orientations import aff2axcodes

    return "".join(aff2axcodes(affine))


def _usable_affine(path: Path, affine: Affine, is_slice: bool) -> Affine:
    """The affine, with a step across a slice that has none. Raises DataProblem on a broken one."""
    usable = affine.copy()
    if is_slice and np.isfinite(usable).all() and not usable[:3, 2].any():
        usable[:3, 2] = np.cross(usable[:3, 0], usable[:3, 1])
    steps = np.linalg.norm(usable[:3, :3], axis=0)
    is_finite = bool(np.isfinite(usable).all())
    if not is_finite or not steps.all() or abs(np.linalg.det(usable[:3, :3] / steps)) < 1e-3:
        raise DataProblem(
            f"{path}: an affine of {affine[:3].round(6).tolist()}; expected finite numbers and "
            "three directions; fix the header, or copy that of the image"
        )
    return usable
