"""The images that `predict` is given: which files of a folder make up which case."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import OTHER_IMAGES
from bench.errors import BenchError

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".npy")
VOLUMES = (".nii", ".nii.gz")
# nnU-Net names a file after its case and channel, the first of which is 0000.
NNUNET_NAME = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})", re.DOTALL)
COLOUR_CHANNELS = 3  # a picture may hold them all in one file


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """One image: its name, without an ending, and its files, one or one for each channel."""

    name: str
    files: tuple[Path, ...]

    @property
    def first(self) -> Path:
        """The file of the first channel, or of all of them."""
        return self.files[0]

    @property
    def is_volume(self) -> bool:
        """Whether it is a NIfTI file."""
        return ending_of(self.first) in VOLUMES


def images_in(folder: Path, channels: int) -> list[ImageFiles]:
    """The images in a folder, for a model of so many channels.

    Where all names are of nnU-Net, NAME_0000 and so on, the files of a name are its channels.
    Raises BenchError if there are none, or if two have one name.
    """
    files = _files_in(folder)
    grouped = _by_nnunet_name(files, channels)
    if grouped is not None:
        return grouped
    return [ImageFiles(stem_of(file), (file,)) for file in files]


def _by_nnunet_name(files: Sequence[Path], channels: int) -> list[ImageFiles] | None:
    """The images whose channels lie in files of their own; None where names are not of nnU-Net.

    Frames of a video are numbered alike: names count as nnU-Net's only if each has exactly the
    channels of the model, or channel 0000 alone where one file can hold all.
    """
    cases: dict[str, list[Path]] = {}
    for file in files:
        match = NNUNET_NAME.fullmatch(stem_of(file))
        if match is None:
            return None
        cases.setdefault(match["case"], []).append(file)
    counts = {channels}
    if channels == COLOUR_CHANNELS:
        counts.add(1)
    images = []
    for case, of_case in cases.items():
        numbers = [stem_of(file)[-4:] for file in of_case]
        expected = [f"{number:04}" for number in range(len(of_case))]
        if numbers != expected or len(of_case) not in counts:
            return None
        images.append(ImageFiles(case, tuple(of_case)))
    return images


def _files_in(folder: Path) -> list[Path]:
    """The image files in a folder. Raises BenchError if there are none, or if two share a name."""
    if not folder.is_dir():
        raise BenchError(f"images {folder} given; expected a folder of images")
    try:
        # macOS leaves hidden twins such as ._a.png beside the files
        visible = [file for file in folder.iterdir() if not file.name.startswith(".")]
    except OSError as problem:
        raise BenchError(f"images {folder} given; it cannot be read ({problem.strerror})") from None
    files = sorted(file for file in visible if ending_of(file))
    known = ", ".join(PICTURES + VOLUMES)
    if not files:
        raise BenchError(f"images {folder} given; it holds none; expected {known}")
    others = [file.name for file in visible if _is_other_image(file)]
    if others:
        names = ", ".join(sorted(others)[:3])
        raise BenchError(
            f"images {folder} given; {len(others)} of its images would be left out ({names}); "
            f"expected {known}; convert them, or move them away"
        )
    _check_names(folder, files)
    return files


def _check_names(folder: Path, files: Iterable[Path]) -> None:
    """Raise BenchError if two files would share a mask."""
    first: dict[str, Path] = {}
    for file in files:
        stem = unicodedata.normalize("NFC", stem_of(file))
        other = first.setdefault(stem, file)
        if other is not file:
            raise BenchError(
                f"images {folder} given; {other.name} and {file.name} would share a mask; "
                "rename one"
            )


def ending_of(file: Path) -> str:
    """The ending of an image file, in lower case; empty for other files."""
    name = file.name.lower()
    return next((ending for ending in PICTURES + VOLUMES if name.endswith(ending)), "")


def _is_other_image(file: Path) -> bool:
    """Whether a file is an image of a kind that is not read."""
    return not ending_of(file) and file.name.lower().endswith(OTHER_IMAGES) and file.is_file()


def stem_of(file: Path) -> str:
    """The name of an image file without its ending; dots in it are kept."""
    return file.name[: -len(ending_of(file))]
