"""Folders of pictures: which files belong to one case, and what a case may be called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bench.errors import DataProblem

LOSSY = frozenset({".jpg", ".jpeg"})
ENDINGS = LOSSY | {".png", ".tif", ".tiff", ".bmp", ".npy"}
HOW_TO_POINT = "give --data DIR or set SCARCEBENCH_DATA"


@dataclass(frozen=True, slots=True)
class Pair:
    """An image file and its masks."""

    stem: str
    image: Path
    masks: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where images and masks lie in a folder, and what the name of a mask may add to its image's."""

    images: str = "images"
    masks: str = "masks"
    suffix: str = "_mask"  # may be followed by _1, _2 and so on


PLAIN = Layout()


def missing_folder(name: str, data_folder: Path | None, layout: str) -> DataProblem:
    """The problem that a dataset's folder was not found; `layout` is its path below the data folder."""
    if data_folder is None:
        return DataProblem(
            f"no data folder for '{name}'; expected one that holds {layout}; {HOW_TO_POINT}"
        )
    return DataProblem(
        f"no folder '{name}' under {data_folder}; expected {data_folder}/{layout}; {HOW_TO_POINT}"
    )


def natural(text: str) -> tuple[list[str | int], str]:
    """Sort key that puts 2 before 10."""
    parts = re.split(r"(\d+)", text)
    return [int(part) if part.isdecimal() else part for part in parts], text


def some(names: list[str]) -> str:
    """The first three names, for a message."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def pictures(folder: Path) -> list[Path]:
    """The picture files of a folder in natural order. Raises DataProblem where there is no such folder."""
    if not folder.is_dir():
        raise DataProblem(
            f"no folder {folder}; expected one with pictures ({', '.join(sorted(ENDINGS))})"
        )
    # macOS leaves hidden twins such as ._a.jpg beside the pictures
    files = (
        path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.name[0] != "."
    )
    return sorted(files, key=lambda path: natural(path.stem))


def pairs(folder: Path, layout: Layout = PLAIN) -> list[Pair]:
    """The images of a folder with their masks, in natural order. Raises DataProblem where one is missing."""
    images = _by_stem(pictures(folder / layout.images))
    masks: dict[str, list[Path]] = {stem: [] for stem in images}
    strays = []
    for mask in pictures(folder / layout.masks):
        stem = (
            mask.stem if mask.stem in images else re.sub(rf"{layout.suffix}(_\d+)?$", "", mask.stem)
        )
        if stem in images:
            masks[stem].append(mask)
        else:
            strays.append(mask.name)
    lone = [image.name for stem, image in images.items() if not masks[stem]]
    expected = f"{layout.masks}/NAME, or NAME{layout.suffix}, or NAME{layout.suffix}_1 and so on for each {layout.images}/NAME"
    refuse_singles(folder, lone, strays, expected)
    return [Pair(stem, image, tuple(masks[stem])) for stem, image in images.items()]


def pairs_beside(folder: Path, suffix: str = "_mask") -> list[Pair]:
    """NAME.* with NAME_mask.*, NAME_mask_1.* and so on, in natural order. Raises DataProblem where one is missing."""
    images: dict[str, Path] = {}
    masks: dict[str, list[Path]] = {}
    for path in pictures(folder):
        match = re.fullmatch(rf"(.+){suffix}(_\d+)?", path.stem)
        if match:
            masks.setdefault(match[1], []).append(path)
        else:
            _check_name(path, images)
            images[path.stem] = path
    if not images:
        raise DataProblem(
            f"no images in {folder}; expected NAME.png (or jpg, tif, bmp) with NAME{suffix}.png; add them"
        )
    lone = [path.name for stem, path in images.items() if stem not in masks]
    strays = [path.name for stem, found in masks.items() if stem not in images for path in found]
    refuse_singles(folder, lone, strays, f"NAME{suffix}, NAME{suffix}_1 and so on beside each NAME")
    return [Pair(stem, path, tuple(masks[stem])) for stem, path in images.items()]


def _check_name(path: Path, images: dict[str, Path]) -> None:
    """Raise DataProblem on a second image of one name, or on a name that no result file can have."""
    if path.stem in images:
        raise DataProblem(
            f"{path}: a second image named '{path.stem}' beside {images[path.stem].name}; "
            "expected one image a case; rename or remove one"
        )
    refuse_odd_name(path.parent, path.stem)


def _by_stem(images: list[Path]) -> dict[str, Path]:
    """Images by case name. Raises DataProblem on two of one name."""
    found: dict[str, Path] = {}
    for path in images:
        if path.stem in found:
            raise DataProblem(
                f"{path}: a second image named '{path.stem}' beside {found[path.stem].name}; "
                "expected one image a case; rename or remove one"
            )
        refuse_odd_name(path.parent, path.stem)
        found[path.stem] = path
    return found


def refuse_odd_name(folder: Path, name: str) -> None:
    """Raise DataProblem on a name that some system refuses: results are files named after their case."""
    if re.search(r'[\\/:*?"<>|]|[ .]$', name) or not name.isprintable():
        raise DataProblem(
            f"{folder}: image name {name!r} cannot name a result file; expected printable "
            'characters without \\ / : * ? " < > | and no blank or dot at the end; rename the image'
        )


def refuse_singles(folder: Path, images: list[str], masks: list[str], expected: str) -> None:
    """Raise DataProblem where images lack masks or masks lack images."""
    given = [f"{len(images)} images without a mask ({some(images)})"] if images else []
    given += [f"{len(masks)} masks without an image ({some(masks)})"] if masks else []
    if given:
        raise DataProblem(
            f"{folder}: {' and '.join(given)}; expected {expected}; add the missing files or remove the others"
        )
