"""NIfTI, NRRD and MHA: images/CASE.nrrd with labels/CASE.nrrd, or CASE.nrrd with CASE_seg.nrrd."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataProblem, cut
from datasets.convert.itk_header import check_data, read_header
from datasets.convert.targets import (
    MOST_CLASSES,
    Asked,
    Converted,
    VolumeCase,
    classes_from,
    part_of,
    refuse_volumes_in_folder,
    write_dataset_json,
    write_volume_case,
)
from datasets.readers.nifti import NO_ORIENTATION, open_nifti, read_levels, read_volume
from datasets.readers.opening import naming_file
from datasets.readers.pairing import first_names, natural_key
from datasets.readers.stored_grid import StoredGrid, align

NIFTI = (".nii", ".nii.gz")
ENDINGS = (*NIFTI, ".nrrd", ".nhdr", ".mha", ".mhd")
LABEL_FOLDERS = ("labels", "masks", "labelstr", "segmentations")
LABEL_NAME = re.compile(r"(.+?)[._-](?:seg|label|mask|segmentation)", re.IGNORECASE)
CHANNEL_NAME = re.compile(r"(.+)_(\d{4})")
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(slots=True)
class _Files:
    """The files of a case."""

    channels: dict[int, Path] = field(default_factory=dict)
    label: Path | None = None


@dataclass(frozen=True, slots=True)
class _Label:
    """A label map as stored, and the names of its values where the file has them."""

    voxels: NDArray[Any]
    grid: StoredGrid
    names: Mapping[int, str]


def convert_volumes(asked: Asked) -> Converted:
    """Write volumes with their labels in the layout of nnU-Net. Raises BenchError."""
    refuse_volumes_in_folder(asked)
    cases = _find_cases(asked.source)
    channels = 0
    named: dict[int, str] = {}
    used: set[int] = set()
    normals = False
    unoriented = 0
    with part_of(asked) as root:
        for name, files in cases.items():
            case, names = _read_case(name, files)
            channels = channels or len(case.channels)
            _refuse_other_count(asked.source, case, channels)
            _unite_names(asked.source, name, named, names)
            used.update(np.unique(case.label).tolist(), names)
            normals |= not case.label.any()
            unoriented += not case.is_oriented
            write_volume_case(root, case)
        if not asked.classes:
            _refuse_gaps(asked.source, used)
        found = [named.get(value, f"class {value}") for value in range(1, max(used) + 1)]
        classes = classes_from(found, asked.classes, asked.source)
        numbers = [f"channel {number}" for number in range(channels)]
        write_dataset_json(root, numbers, classes, len(cases), ".nii.gz", normals)
    notes = (f"{unoriented} cases: {NO_ORIENTATION}",) if unoriented else ()
    return Converted(len(cases), classes, notes)


def _refuse_other_count(source: Path, case: VolumeCase, channels: int) -> None:
    if len(case.channels) != channels:
        raise DataProblem(
            f"{source}: {case.name} has {len(case.channels)} channels; expected {channels}, as the "
            "first case; add the missing files"
        )


def _refuse_gaps(source: Path, used: set[int]) -> None:
    """Raise DataProblem where classes would be made of values that no case has: 255 alone is 1."""
    gaps = [value for value in range(1, max(used)) if value not in used]
    if gaps:
        raise DataProblem(
            f"{source}: labels with the value {max(used)}, but none with {gaps[0]}; expected class "
            "numbers without gaps; renumber them, or name a class for each number with --classes"
        )


def _unite_names(source: Path, case: str, known: dict[int, str], names: Mapping[int, str]) -> None:
    """Take over the names of a case. Raises DataProblem where a value has another name there."""
    for value, name in names.items():
        other = known.setdefault(value, name)
        if other != name:
            raise DataProblem(
                f"{source}: value {value} is {name!r} in {case}, and {other!r} in cases before; "
                "expected one name for each; renumber the segments alike"
            )


def _find_cases(source: Path) -> dict[str, _Files]:
    """The files of all cases by name, in natural order. Raises DataProblem."""
    cases: dict[str, _Files] = {}
    labels: dict[str, Path] = {}
    for path in sorted(source.rglob("*")):
        ending = _ending_of(path)
        if ending and path.is_file() and not path.name.startswith("."):
            _sort_in(path, path.name[: -len(ending)], cases, labels)
    for name, path in labels.items():
        if name in cases:
            cases[name].label = path
    lone = [name for name, files in cases.items() if files.label is None]
    lone += [path.name for name, path in labels.items() if name not in cases]
    if lone or not cases:
        raise DataProblem(
            f"{source}: {len(lone)} files without a partner ({first_names(lone)}); expected "
            "labels/CASE for each images/CASE, or CASE_seg beside CASE; add the missing ones"
        )
    _refuse_other_numbers(source, cases)
    return dict(sorted(cases.items(), key=lambda item: natural_key(item[0])))


def _refuse_other_numbers(source: Path, cases: Mapping[str, _Files]) -> None:
    """Raise DataProblem where cases have channels of other numbers: they would change places."""
    first, *others = cases
    expected = sorted(cases[first].channels)
    for name in others:
        numbers = sorted(cases[name].channels)
        if numbers != expected:
            raise DataProblem(
                f"{source}: {name} has the channels {numbers}, and {first} {expected}; expected "
                "the same in all cases; add the missing files, or number them alike"
            )


def _sort_in(path: Path, stem: str, cases: dict[str, _Files], labels: dict[str, Path]) -> None:
    """Add a file to the images or to the labels. Raises DataProblem on a second one."""
    match = LABEL_NAME.fullmatch(stem)
    if match is not None or path.parent.name.lower() in LABEL_FOLDERS:
        name = match[1] if match else stem
        other = labels.setdefault(name, path)
    else:
        numbered = CHANNEL_NAME.fullmatch(stem)
        name = numbered[1] if numbered else stem
        channel = int(numbered[2]) if numbered else 0
        other = cases.setdefault(name, _Files()).channels.setdefault(channel, path)
    if other is not path:
        raise DataProblem(f"{path}: {other} is of case {name} too; expected one; remove one")


def _ending_of(path: Path) -> str:
    """The ending of a volume that a file has, the longest one; empty for other files."""
    fitting = [ending for ending in ENDINGS if path.name.lower().endswith(ending)]
    return max(fitting, key=len, default="")


def _read_case(name: str, files: _Files) -> tuple[VolumeCase, Mapping[int, str]]:
    """A case with its label on the grid of the first channel. Raises DataProblem."""
    paths = [files.channels[number] for number in sorted(files.channels)]
    channels, grid = _read_channels(paths[0])
    for path in paths[1:]:
        others, own = _read_channels(path)
        channels += [align(path, other, own, grid, paths[0].name) for other in others]
    assert files.label is not None
    label = _read_label(files.label)
    # files without an orientation do not say from where they were cropped
    says_where = label.grid.is_oriented and grid.is_oriented
    if says_where and sorted(label.grid.shape) != sorted(grid.shape):
        placed = _placed(files.label, label, grid, paths[0].name)
    else:
        placed = align(files.label, label.voxels, label.grid, grid, paths[0].name)
    with np.errstate(invalid="ignore"):  # NaN, which is refused below
        numbers = placed.astype(np.uint8)
    if not np.array_equal(numbers, placed):
        raise DataProblem(
            f"{files.label}: values that are no whole numbers from 0 to 255; expected class "
            "numbers; round or renumber them"
        )
    return VolumeCase(name, channels, grid.affine, numbers, grid.is_oriented), label.names


def _read_channels(path: Path) -> tuple[list[NDArray[Any]], StoredGrid]:
    """The channels in a file (X Y Z each) and their grid; one that is 4D holds several."""
    if not path.name.lower().endswith(NIFTI):
        voxels, grid, _ = _read_itk(path)
        return [voxels], grid
    shape = open_nifti(path).shape
    if 0 in shape:
        raise DataProblem(f"{path}: shape {shape}; expected voxels; copy it again")
    if len(shape) == 4:
        return _split_channels(path)
    volume = read_volume(path)
    return [volume.voxels], volume.grid


def _split_channels(path: Path) -> tuple[list[NDArray[Any]], StoredGrid]:
    """The channels of a 4D file, as the Medical Segmentation Decathlon stores them."""
    import nibabel

    with tempfile.TemporaryDirectory() as folder:
        with naming_file(path):
            parts = nibabel.funcs.four_to_three(open_nifti(path))
            files = [Path(folder) / f"{number}.nii" for number in range(len(parts))]
            for part, file in zip(parts, files, strict=True):
                nibabel.save(part, file)
        volumes = [read_volume(file) for file in files]
    return [volume.voxels for volume in volumes], volumes[0].grid


def _read_label(path: Path) -> _Label:
    if path.name.lower().endswith(NIFTI):
        voxels, grid = read_levels(path)
        return _Label(voxels, grid, {})
    voxels, grid, keys = _read_itk(path)
    return _Label(voxels, grid, _segment_names(path, keys))


def _read_itk(path: Path) -> tuple[NDArray[Any], StoredGrid, Mapping[str, str]]:
    """Voxels (X Y Z), the grid and the text fields of a NRRD or MetaImage file.

    Raises DataProblem naming the file.
    """
    try:
        import SimpleITK
    except ImportError:
        raise DataProblem(
            f"{path}: it needs the package SimpleITK; install it with "
            "pip install -e '.[convert]' in the folder of ScarceBench"
        ) from None
    with naming_file(path):
        header = read_header(path)
        image: Any = SimpleITK.ReadImage(str(path))
        voxels = SimpleITK.GetArrayFromImage(image).T
        keys = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    parts = image.GetNumberOfComponentsPerPixel()
    if image.GetDimension() != 3 or parts != 1:
        raise DataProblem(
            f"{path}: {image.GetDimension()} dimensions and {parts} values for each voxel; "
            "expected a volume of single values; save each channel, or segments that do not "
            "overlap, as one volume"
        )
    if np.iscomplexobj(voxels):
        raise DataProblem(f"{path}: complex values; expected real ones; save the magnitude")
    check_data(header, voxels)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    grid = StoredGrid(voxels.shape, False, LPS_TO_RAS @ affine, header.is_oriented)
    return voxels, grid, keys


def _segment_names(path: Path, keys: Mapping[str, str]) -> dict[int, str]:
    """The names of the values of a segmentation of 3D Slicer. Raises DataProblem on odd ones."""
    names = {}
    for key, name in keys.items():
        match = re.fullmatch(r"(Segment\d+)_Name", key)
        if match is None:
            continue
        value = keys.get(f"{match[1]}_LabelValue", "")
        if not re.fullmatch("[0-9]{1,3}", value) or not 0 < int(value) < MOST_CLASSES:
            raise DataProblem(
                f"{path}: segment {name!r} has the value '{cut(value)}'; expected one from 1 to "
                f"{MOST_CLASSES - 1}; save it again"
            )
        names[int(value)] = name
    return names


def _placed(path: Path, label: _Label, grid: StoredGrid, other: str) -> NDArray[Any]:
    """A label map that was cropped to its segments, on the whole grid of its image.

    Raises DataProblem where its voxels are not voxels of the image.
    """
    between = np.linalg.inv(grid.affine) @ label.grid.affine
    start = between[:3, 3]
    is_exact = np.allclose(between[:3, :3], np.eye(3), atol=1e-3)
    is_exact = is_exact and np.allclose(start, np.rint(start), atol=0.05)
    first = np.rint(start).astype(int)
    last = first + label.voxels.shape
    if not is_exact or (first < 0).any() or (last > grid.shape).any():
        raise DataProblem(
            f"{path}: shape {label.voxels.shape} at voxel {_shown(start)} of {other}, whose shape "
            f"is {grid.shape}; expected whole voxels inside it; resample the label to that grid"
        )
    whole = np.zeros(grid.shape, label.voxels.dtype)
    whole[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = label.voxels
    return whole


def _shown(values: Sequence[float] | NDArray[Any]) -> str:
    return f"({', '.join(f'{value:.3g}' for value in values)})"
