"""NRRD and MetaImage files whose headers say too little, or whose data is damaged or elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import DataProblem
from datasets.convert import Asked, Converted, convert

itk = pytest.importorskip("SimpleITK")

VOXELS = np.random.default_rng(4).integers(0, 1000, (5, 6, 7)).astype(np.int16)
LABEL = (VOXELS > 700).astype(np.uint8)


def write(folder: Path, ending: str, compressed: bool = False, image: Any = VOXELS) -> Path:
    """A case of one image with its label; returns the file of the image."""
    for name, voxels in (("images", image), ("labels", LABEL)):
        (folder / "src" / name).mkdir(parents=True, exist_ok=True)
        volume = itk.GetImageFromArray(voxels)
        volume.SetSpacing((1.0, 1.0, 3.0))
        itk.WriteImage(volume, str(folder / "src" / name / f"a{ending}"), compressed)
    return folder / "src" / "images" / f"a{ending}"


def change(file: Path, pattern: str, words: str) -> None:
    """Replace a part of a header that ends with an empty line, or of a file that is all header."""
    header, gap, data = file.read_bytes().partition(b"\n\n")
    file.write_bytes(re.sub(pattern.encode(), words.encode(), header) + gap + data)


def to_nnunet(folder: Path) -> Converted:
    return convert(Asked(folder / "src", folder / "Dataset001_Ours", "nnunet"))


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_whole_files_of_each_make(tmp_path: Path, ending: str, compressed: bool) -> None:
    write(tmp_path, ending, compressed)
    assert to_nnunet(tmp_path) == Converted(1, ("background", "class 1"))


@pytest.mark.parametrize("place", ["/etc/hostname", "../../secret.raw"])
@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mhd"])
def test_data_outside_of_the_folder(tmp_path: Path, ending: str, place: str) -> None:
    """Any file of the machine was read as voxels, and written to the new data set."""
    file = write(tmp_path, ending)
    (tmp_path / "secret.raw").write_bytes(VOXELS.tobytes())
    if ending == ".nrrd":
        change(file, "$", f"\ndata file: {place}")
    else:
        change(file, r"(?<=[a-zA-Z ])(:|=) a\.raw", rf"\1 {place}")
    with pytest.raises(DataProblem, match=f"a{ending}: its voxels lie in '{re.escape(place)}'"):
        to_nnunet(tmp_path)


@pytest.mark.parametrize("named", ["LIST\na.raw", "a%d.raw 0 4 1"])
def test_data_in_several_files(tmp_path: Path, named: str) -> None:
    """A list was read as noise."""
    file = write(tmp_path, ".mhd")
    change(file, "ElementDataFile = .*", f"ElementDataFile = {named}")
    with pytest.raises(DataProblem, match="expected one file in the folder of the header"):
        to_nnunet(tmp_path)


@pytest.mark.parametrize("at", [-3, -60])
def test_a_damaged_byte_of_compressed_voxels(tmp_path: Path, at: int) -> None:
    """SimpleITK does not look at the checksum: the voxels became noise without a word."""
    file = write(tmp_path, ".mha", compressed=True)
    content = bytearray(file.read_bytes())
    content[at] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(DataProblem, match="its compressed voxels are damaged; copy it again"):
        to_nnunet(tmp_path)


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_more_data_than_the_header_says(tmp_path: Path, ending: str) -> None:
    """The rest was left out: a volume whose size was cut in the header lost its last slices."""
    file = write(tmp_path, ending)
    with file.open("ab") as stream:
        stream.write(b"x" * 100)
    with pytest.raises(DataProblem, match="520 bytes of voxels; expected 420"):
        to_nnunet(tmp_path)


@pytest.mark.parametrize("directions", [None, "none none none", "(1,0,0) (0,1,0) none"])
def test_a_header_without_spacing(tmp_path: Path, directions: str | None) -> None:
    """Voxels of 1 mm and axes to the left, back and top were made up."""
    file = write(tmp_path, ".nrrd")
    words = "" if directions is None else f"space directions: {directions}"
    change(file, "space directions: .*", words or "content: x")
    with pytest.raises(DataProblem, match="does not say how far voxels lie apart"):
        to_nnunet(tmp_path)


def test_spacing_without_directions_is_no_orientation(tmp_path: Path) -> None:
    """Axes to the left, back and top were made up."""
    write(tmp_path, ".nrrd")
    for file in (tmp_path / "src").rglob("*.nrrd"):
        change(file, "space: .*", "spacings: 1 1 3")
        change(file, r"\nspace (directions|origin): .*", "")
    [note] = to_nnunet(tmp_path).notes
    assert note.startswith("1 cases: no orientation in the header")


def test_axes_that_are_not_at_right_angles(tmp_path: Path) -> None:
    """SimpleITK turned them without a word."""
    file = write(tmp_path, ".nrrd")
    change(file, "space directions: .*", "space directions: (1,0,0) (0.5,1,0) (0,0,3)")
    with pytest.raises(DataProblem, match="axes that are not at right angles"):
        to_nnunet(tmp_path)


def test_complex_voxels(tmp_path: Path) -> None:
    """Their imaginary part was dropped when the data set was read."""
    write(tmp_path, ".mha", image=VOXELS.astype(np.float32))
    image = itk.GetImageFromArray(VOXELS.astype(np.complex64))
    image.SetSpacing((1.0, 1.0, 3.0))
    (tmp_path / "src" / "images" / "a.mha").unlink()
    itk.WriteImage(image, str(tmp_path / "src" / "images" / "a.nrrd"))
    with pytest.raises(DataProblem, match="expected real ones; save the magnitude"):
        to_nnunet(tmp_path)
