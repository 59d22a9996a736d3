"""Folders in which masks lie beside their images, told apart by what their names end with."""

from __future__ import annotations

import re
from pathlib import Path

from bench.errors import DataProblem
from datasets.pairing import Pair, pictures, refuse_odd_name, refuse_singles


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
