"""What `predict` and `export` write: masks, probabilities and overlays, never over other files."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.execution.prediction.images import ending_of

# Class colours of a written mask (R G B each); its pixel values are the class numbers.
COLOURS = (
    (0, 0, 0),
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)
MARK = b"ScarceBench"  # near the start of each file that `predict` writes
GAP = 4  # pixels between an image and its overlay
FILL = 0.25  # share of the class colour inside an outline
LONG_SIDE = 512  # a small image is drawn so large that its outline can be seen


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A name to write to; what was written there then takes the name of the file at once.

    A link of that name is replaced, not followed. Raises BenchError if the disk refuses, or if the
    file is none that `predict` wrote, such as a reference mask.
    """
    if file.exists() and not _is_own(file):
        raise BenchError(
            f"{file} is there already and was not written by 'predict'; "
            "give another --to, or move it away"
        )
    ending = ending_of(file) or file.suffix
    part = file.with_name(f".part-{os.getpid()}{ending}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(file)
    except OSError as problem:
        raise BenchError(
            f"cannot write {file} ({problem.strerror or problem}); free the disk or give another "
            "--to"
        ) from None
    finally:
        part.unlink(missing_ok=True)


def _is_own(file: Path) -> bool:
    """Whether `predict` wrote a file."""
    try:
        with file.open("rb") as plain:
            start = plain.read(2000)
        if file.suffix == ".gz":
            with gzip.open(file) as unpacked:
                start = unpacked.read(2000)
    except (OSError, EOFError, zlib.error):
        return False
    return MARK in start or start.startswith(b"image,label")


def write_picture(label_map: NDArray[np.uint8], file: Path) -> None:
    """Write a mask (H W) as a PNG of class numbers, which viewers show in colours."""
    from PIL import Image

    picture = Image.fromarray(label_map).convert("P")
    picture.putpalette([part for colour in COLOURS for part in colour])
    with replacing(file) as part:
        picture.save(part, pnginfo=_marked())


def _marked() -> Any:
    from PIL import PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_text("Software", MARK.decode())
    return text


def write_probabilities(probabilities: NDArray[np.float16], file: Path) -> None:
    """Write probabilities (K *S) as an array of that name in a .npz file."""
    mark = np.array(1)  # its name, at the start of the file, says who wrote it
    with replacing(file) as part:
        np.savez_compressed(part, ScarceBench=mark, probabilities=probabilities)


def write_overlay(image: NDArray[Any], label_map: NDArray[np.uint8], file: Path) -> None:
    """Write an image (C H W), and beside it the same with its mask (H W) outlined and tinted."""
    from PIL import Image

    plain = to_rgb(image)
    drawn = tinted(plain, label_map)
    height, width = label_map.shape
    factor = max(1, LONG_SIDE // max(height, width))
    sides = [np.kron(side, np.ones((factor, factor, 1), np.uint8)) for side in (plain, drawn)]
    outlined = outline(sides[1], np.kron(label_map, np.ones((factor, factor), np.uint8)))
    gap = np.full((height * factor, GAP, 3), 255, np.uint8)
    with replacing(file) as part:
        Image.fromarray(np.hstack([sides[0], gap, outlined])).save(part, pnginfo=_marked())


def to_rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """An image (C H W) as H W 3: grey is repeated; other than uint8 is stretched to its range."""
    if image.dtype != np.uint8:
        values = image.astype(np.float32)
        low, high = np.percentile(values, [0.5, 99.5])
        image = (255 * np.clip((values - low) / max(float(high - low), 1e-8), 0, 1)).astype(
            np.uint8
        )
    channels = (0, 1, 2) if image.shape[0] >= 3 else (0, 0, 0)
    return np.stack([image[channel] for channel in channels], axis=-1)


def _colours_of(label_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colour (H W 3) of each pixel's class; colours repeat from the eighth class on."""
    palette = np.array(COLOURS, np.uint8)
    numbers = np.where(label_map > 0, 1 + (label_map.astype(int) - 1) % (len(COLOURS) - 1), 0)
    return palette[numbers]


def tinted(picture: NDArray[np.uint8], label_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H W 3) with the pixels of each class tinted."""
    share = FILL * (label_map > 0)[..., None]
    mixed = (1 - share) * picture + share * _colours_of(label_map)
    return mixed.round().astype(np.uint8)


def outline(picture: NDArray[np.uint8], label_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H W 3) with the pixels at the border of each class in its colour."""
    from scipy import ndimage

    lowest = ndimage.minimum_filter(label_map, 3)
    highest = ndimage.maximum_filter(label_map, 3)
    is_border = (label_map > 0) & (lowest != highest)
    return np.where(is_border[..., None], _colours_of(label_map), picture)
