"""Headers of NRRD and MetaImage files: what SimpleITK passes over or fills in is refused here."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import DataProblem, cut

LONGEST_HEADER = 2**20  # bytes
SKEW = 1e-3  # how far axes may be from right angles
META = (".mha", ".mhd")
OF_OTHER_SIZE = ("MET_LONG", "MET_ULONG")  # 4 or 8 bytes, as the machine has it
PARTS = ("LIST", "%")  # data in several files


@dataclass(frozen=True, slots=True)
class ItkHeader:
    """What the header of a volume says of its place and of its data."""

    path: Path
    fields: Mapping[str, str]  # keys in lower case, without blanks
    directions: str  # of the axes; empty where it says none
    is_oriented: bool
    data: Path  # the file with the voxels
    start: int  # of the voxels in it, in bytes


def read_header(path: Path) -> ItkHeader:
    """The header of a volume.

    Raises DataProblem where it does not say how far voxels lie apart, has axes that are not at
    right angles, or takes voxels from several files or from outside of its folder.
    """
    is_meta = path.name.lower().endswith(META)
    dimension = "dimension"
    if is_meta:
        dimension = "ndims"
    fields, end = _meta_fields(path) if is_meta else _nrrd_fields(path)
    directions, spacing = _place(fields, is_meta)
    is_volume = fields.get(dimension) == "3"
    unknown = not spacing or "nan" in spacing.lower() or "none" in directions.lower()
    if is_volume and unknown:  # others are refused when they are read
        raise DataProblem(
            f"{path}: its header does not say how far voxels lie apart; expected the directions "
            "of all axes in mm; save it again from the program that made it"
        )
    _refuse_skew(path, directions)
    has_space = is_meta or "space" in fields
    data, start = _data_of(path, fields, end, is_meta)
    return ItkHeader(path, fields, directions, bool(directions) and has_space, data, start)


def check_data(header: ItkHeader, voxels: Any) -> None:
    """Raise DataProblem where voxels were read from damaged data, or from some of it alone."""
    size = header.data.stat().st_size - header.start
    if header.fields.get("compresseddata", "").lower() == "true":
        _check_deflated(header, voxels.nbytes)
        return
    is_raw = header.fields.get("encoding", "raw").lower() == "raw"
    moved = any("skip" in key or key == "headersize" for key in header.fields)
    of_other_size = header.fields.get("elementtype") in OF_OTHER_SIZE
    if is_raw and not moved and not of_other_size and size != voxels.nbytes:
        raise DataProblem(
            f"{header.path}: {size} bytes of voxels; expected {voxels.nbytes} for the shape "
            f"{voxels.shape} in its header; copy it again, or fix its header"
        )


def _check_deflated(header: ItkHeader, expected: int) -> None:
    """SimpleITK reads compressed voxels without their checksum."""
    stream = zlib.decompressobj()
    size = 0
    try:
        with header.data.open("rb") as file:
            file.seek(header.start)
            while not stream.eof and (block := file.read(LONGEST_HEADER)):
                size += len(stream.decompress(block))
        is_whole = stream.eof and size == expected
    except zlib.error:
        is_whole = False
    if not is_whole:
        raise DataProblem(f"{header.path}: its compressed voxels are damaged; copy it again")


def _meta_fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields of a MetaImage file, and where they end: after the name of the data."""
    text = _head(path)
    fields = {}
    end = 0
    for line in text.splitlines(keepends=True):
        end += len(line)
        key, _, value = line.partition(b"=")
        name = key.decode("latin-1").strip().lower()
        fields[name] = value.decode("utf-8", "replace").strip()
        if name == "elementdatafile":
            break
    return fields, end


def _nrrd_fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields of a NRRD file, and where they end: after an empty line."""
    text = _head(path)
    fields = {}
    end = 0
    for line in text.splitlines(keepends=True):
        end += len(line)
        if not line.strip():
            break
        key, colon, value = line.partition(b":")
        if colon and not line.startswith(b"#"):
            name = key.decode("latin-1").replace(" ", "").lower()
            fields[name] = value.decode("utf-8", "replace").strip()
    return fields, end


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LONGEST_HEADER)


def _place(fields: Mapping[str, str], is_meta: bool) -> tuple[str, str]:
    """The directions of the axes and what tells the spacing, as the header has them."""
    if is_meta:
        names = ("transformmatrix", "rotation", "orientation")
        directions = next((fields[name] for name in names if name in fields), "")
        return directions, fields.get("elementspacing") or fields.get("elementsize", "")
    directions = fields.get("spacedirections", "")
    return directions, directions or fields.get("spacings", "")


def _refuse_skew(path: Path, directions: str) -> None:
    """Raise DataProblem for axes that SimpleITK turns until they are at right angles."""
    for sign in "(),":
        directions = directions.replace(sign, " ")
    try:
        numbers = np.array(directions.split(), float)
    except ValueError:
        return  # which SimpleITK does not read
    if numbers.size != 9:
        return  # of volumes of another dimension, which are refused when they are read
    axes = numbers.reshape(3, 3)
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    if not lengths.all():
        return
    unit = axes / lengths
    if not np.allclose(unit @ unit.T, np.eye(3), atol=SKEW):
        raise DataProblem(
            f"{path}: axes that are not at right angles; expected a straight grid, as gantry tilt "
            "does not give; resample it"
        )


def _data_of(path: Path, fields: Mapping[str, str], end: int, is_meta: bool) -> tuple[Path, int]:
    """The file with the voxels, and where they start. Raises DataProblem for one elsewhere."""
    named = fields.get("elementdatafile") if is_meta else fields.get("datafile")
    if not named or named.upper() == "LOCAL":
        return path, end
    file = path.parent / named
    is_inside = file.resolve().is_relative_to(path.parent.resolve())
    if named.upper().startswith(PARTS[0]) or PARTS[1] in named or not is_inside:
        raise DataProblem(
            f"{path}: its voxels lie in {cut(named)!r}; expected one file in the folder of the "
            "header; save it again as a single file"
        )
    if not file.is_file():
        raise DataProblem(f"{path}: its voxels lie in {cut(named)!r}, which is not there; add it")
    return file, 0
