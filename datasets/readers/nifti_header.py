"""What the header of a NIfTI file says: its axes, and where its voxels lie.

A header that says it twice, and differently, is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataProblem
from datasets.readers.opening import naming_file
from datasets.readers.stored_grid import UNTURNED, Affine, StoredGrid, turn_of

MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # by the code of a unit: none, m, mm, micron
STEP_TOLERANCE = 0.01  # between pixdim and affine, relative


def spatial_shape(shape: tuple[int, ...], parts: int) -> tuple[int, ...]:
    """The shape of a file without its axis of channels or frames, if it has one."""
    holds_all = parts > 1 and len(shape) >= 4 and shape[-1] == parts
    return shape[:-1] if holds_all else shape


def kept_axes(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
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


def is_oriented(file: Any) -> bool:
    """Whether a header says where the axes point; formats other than NIfTI always do."""
    header = file.header
    if "sform_code" not in header:
        return True
    return int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0


def grid_of(path: Path, file: Any, spatial: tuple[int, ...]) -> StoredGrid:
    """The grid of a file of a shape, in mm; of a slice, the axis across it comes last.

    Raises DataProblem on a header that does not say where it lies.
    """
    axes = kept_axes(path, spatial)
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
    if not is_oriented(file):
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


def refuse_broken_qform(path: Path, header: Any) -> None:
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
