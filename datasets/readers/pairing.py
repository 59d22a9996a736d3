"""Finds the files of each case in folders of pictures, and checks what a case may be called."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import OTHER_IMAGES
from bench.errors import DataProblem

LOSSY = frozenset({".jpg", ".jpeg"})
ENDINGS = LOSSY | {".png", ".tif", ".tiff", ".bmp", ".gif", ".npy"}
HOW_TO_POINT = "give --data DIR or set SCARCEBENCH_DATA"
NAMES_SHOWN = 3  # in a message
LONGEST_NAME = 255  # bytes in UTF-8 that file systems take


@dataclass(frozen=True, slots=True)
class Pair:
    """An image file and its masks."""

    stem: str  # the file name of the image without its ending
    image: Path
    masks: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where images and masks lie in a folder, and what a mask's name may add to its image's."""

    images: str = "images"
    masks: str = "masks"
    suffix: str = "_mask"  # may be followed by _1, _2 and so on


PLAIN = Layout()


def normal_name(name: str) -> str:
    """A name in the one form of Unicode (NFC) in which names are compared.

    macOS writes an accent as a character of its own, Excel and most others do not.
    """
    return unicodedata.normalize("NFC", name)


def is_long(name: str) -> bool:
    """Whether a name is too long for a file on some systems."""
    return len(name.encode(errors="surrogateescape")) > LONGEST_NAME


def name_of(path: Path) -> str:
    """The name of a picture file without its ending, as names are compared."""
    return normal_name(path.stem)


def missing_folder(name: str, data_folder: Path | None, layout: str) -> DataProblem:
    """The problem of a dataset whose folder is missing; `layout` is its path in the data folder."""
    if data_folder is None:
        return DataProblem(
            f"no data folder for '{name}'; expected one that holds {layout}; {HOW_TO_POINT}"
        )
    return DataProblem(
        f"no folder '{name}' under {data_folder}; expected {data_folder}/{layout}; {HOW_TO_POINT}"
    )


def natural_key(text: str) -> tuple[list[str | int], str]:
    """Sort key that puts 2 before 10."""
    parts = re.split(r"(\d+)", text)
    return [_number_or_text(part) for part in parts], text


def _number_or_text(part: str) -> str | int:
    return int(part) if part.isdecimal() else part


def first_names(names: list[str]) -> str:
    """The first few names, for a message."""
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown}, ..." if len(names) > NAMES_SHOWN else shown


def list_pictures(folder: Path) -> list[Path]:
    """The picture files of a folder in natural order.

    Raises DataProblem without the folder, and on images in it that would be left out.
    """
    if not folder.is_dir():
        endings = ", ".join(sorted(ENDINGS))
        raise DataProblem(
            f"no folder {folder}; expected one with pictures ({endings}); copy it there"
        )
    entries = list(folder.iterdir())
    refuse_left_out(folder, entries, tuple(sorted(ENDINGS)))
    files = [path for path in entries if _is_picture(path)]
    return sorted(files, key=lambda path: natural_key(name_of(path)))


def refuse_left_out(folder: Path, entries: list[Path], read: Sequence[str]) -> None:
    """Raise DataProblem on images among the entries of a folder that are not `read`.

    These are images with other endings, and pictures in folders inside.
    """
    left_out = []
    for path in entries:
        name = path.name.lower()
        is_image = name.endswith((*ENDINGS, *OTHER_IMAGES)) and path.is_file()
        is_other = is_image and not name.endswith(tuple(read))
        if not name.startswith(".") and (is_other or _holds_pictures(path)):
            left_out.append(path.name)
    if left_out:
        raise DataProblem(
            f"{folder}: {len(left_out)} files or folders that are not read "
            f"({first_names(sorted(left_out))}); expected all images in it as {', '.join(read)}; "
            "convert them, or move them away"
        )


def _holds_pictures(path: Path) -> bool:
    """Whether a path is a folder that holds images, however deep; hidden ones do not count."""
    for _, inside, files in os.walk(path):
        inside[:] = [name for name in inside if not name.startswith(".")]
        for name in files:
            is_image = name.lower().endswith((*ENDINGS, *OTHER_IMAGES))
            if is_image and not name.startswith("."):
                return True
    return False


def _is_picture(path: Path) -> bool:
    # macOS leaves hidden twins such as ._a.jpg beside the pictures
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


@dataclass(frozen=True, slots=True)
class NamePairing:
    """Images and masks as their names bring them together, complete or not."""

    images: dict[str, Path]  # by case name, in natural order
    masks: dict[str, list[Path]]  # of each image
    strays: list[Path]  # masks without an image

    @property
    def lone(self) -> list[Path]:
        """The images without a mask."""
        return [image for stem, image in self.images.items() if not self.masks[stem]]

    def pairs(self) -> list[Pair]:
        """The images with their masks."""
        return [Pair(stem, image, tuple(self.masks[stem])) for stem, image in self.images.items()]


def find_pairs(folder: Path, layout: Layout = PLAIN) -> list[Pair]:
    """The images of a folder, in natural order, with the masks in a second folder.

    Raises DataProblem where an image or a mask has no partner.
    """
    pairing = pair_by_name(folder, layout)
    lone = [image.name for image in pairing.lone]
    strays = [mask.name for mask in pairing.strays]
    refuse_unpaired(folder, lone, strays, expected_names(layout))
    return pairing.pairs()


def pair_by_name(folder: Path, layout: Layout = PLAIN) -> NamePairing:
    """The images of a folder with the masks in a second folder. Raises DataProblem."""
    images = images_by_stem(list_pictures(folder / layout.images))
    return pair_with_masks(images, folder, layout)


def pair_with_masks(images: dict[str, Path], folder: Path, layout: Layout = PLAIN) -> NamePairing:
    """Images by their names without endings, with the masks in a folder. Raises DataProblem."""
    pairing = NamePairing(images, {stem: [] for stem in images}, [])
    for mask in list_pictures(folder / layout.masks):
        stem = _image_stem(mask, images, layout.suffix)
        pairing.masks.get(stem, pairing.strays).append(mask)
    return pairing


def expected_names(layout: Layout = PLAIN) -> str:
    """How masks are to be named, for a message."""
    return (
        f"{layout.masks}/NAME, or NAME{layout.suffix}, or NAME{layout.suffix}_1 and so on "
        f"for each {layout.images}/NAME"
    )


def _image_stem(mask: Path, images: dict[str, Path], suffix: str) -> str:
    """The stem of the image that a mask belongs to; an exact name goes before one with a suffix."""
    name = name_of(mask)
    if name in images:
        return name
    return re.sub(rf"{suffix}(_\d+)?$", "", name)


def find_pairs_beside(folder: Path, suffix: str = "_mask") -> list[Pair]:
    """Images NAME.* with masks NAME_mask.*, NAME_mask_1.*, ... beside them, in natural order.

    Raises DataProblem where an image or a mask has no partner.
    """
    images: list[Path] = []
    masks: dict[str, list[Path]] = {}
    for path in list_pictures(folder):
        match = re.fullmatch(rf"(.+){suffix}(_\d+)?", name_of(path))
        if match:
            masks.setdefault(match[1], []).append(path)
        else:
            images.append(path)
    by_stem = images_by_stem(images)
    if not by_stem:
        raise DataProblem(
            f"no images in {folder}; expected NAME.png (or jpg, tif, bmp) with NAME{suffix}.png; "
            "add them"
        )
    lone = [path.name for stem, path in by_stem.items() if stem not in masks]
    strays: list[str] = []
    for stem, paths in masks.items():
        if stem not in by_stem:
            strays += [path.name for path in paths]
    expected = f"NAME{suffix}, NAME{suffix}_1 and so on beside each NAME"
    refuse_unpaired(folder, lone, strays, expected)
    return [Pair(stem, path, tuple(masks[stem])) for stem, path in by_stem.items()]


def images_by_stem(paths: list[Path]) -> dict[str, Path]:
    """Images by case name. Raises DataProblem on two of one name and on unusable names."""
    images: dict[str, Path] = {}
    for path in paths:
        name = name_of(path)
        if name in images:
            raise DataProblem(
                f"{path}: a second image named '{name}' beside {images[name].name}; "
                "expected one image per case; rename or remove one"
            )
        refuse_odd_name(path.parent, name)
        images[name] = path
    return images


def refuse_odd_name(folder: Path, name: str) -> None:
    """Raise DataProblem on a name that cannot be a file name everywhere.

    Result files are named after their cases.
    """
    if is_long(name):
        raise DataProblem(
            f"{folder}: image name '{name[:40]}...' has {len(name)} characters; "
            f"expected at most {LONGEST_NAME} bytes, as files can have; rename the image"
        )
    if re.search(r'[\\/:*?"<>|]|[ .]$', name) or not name.isprintable():
        raise DataProblem(
            f"{folder}: image name {name!r} cannot name a result file; expected printable "
            'characters without \\ / : * ? " < > | and no blank or dot at the end; rename the image'
        )


def refuse_unpaired(
    folder: Path, images: list[str], masks: list[str], expected: str, hint: str = ""
) -> None:
    """Raise DataProblem where images lack masks or masks lack images.

    A `hint` (ending in "; ") says what else may help.
    """
    given: list[str] = []
    if images:
        given.append(f"{len(images)} images without a mask ({first_names(images)})")
    if masks:
        given.append(f"{len(masks)} masks without an image ({first_names(masks)})")
    if given:
        raise DataProblem(
            f"{folder}: {' and '.join(given)}; expected {expected}; {hint}"
            "add the missing files or remove the others"
        )
