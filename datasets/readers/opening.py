"""Opens files of pictures: only regular files, upright, one frame, with nothing left out unsaid."""

from __future__ import annotations

import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bench.errors import DataProblem

LOSSY_FORMATS = frozenset({"JPEG", "MPO", "JPEG2000", "WEBP"})
COMPRESSION = 259  # TIFF tags
PHOTOMETRIC = 262
SAMPLES = 277
WHITE_IS_ZERO = 0
JPEG_IN_TIFF = (6, 7)
ORIENTATION = 0x0112  # EXIF tag


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, upright as a viewer shows it."""

    image: Image.Image
    is_lossy: bool  # its levels are not exactly those that were saved


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into a DataProblem that names the file.

    What is no regular file is refused before it is opened: a pipe would block for ever.
    """
    _refuse_special_file(path)
    try:
        with warnings.catch_warnings():  # of a decoder, on files that it then reads or refuses
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except DataProblem:
        raise
    # on damaged files decoders raise OSError, SyntaxError, struct.error and others
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise DataProblem(
            f"{path}: cannot be read ({reason}); expected a whole {path.suffix[1:]} file; "
            "copy it again"
        ) from error


def _refuse_special_file(path: Path) -> None:
    """Raise DataProblem on a missing file, a broken link, a folder, a pipe or a device."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise DataProblem(
            f"{path}: cannot be read ({reason}); expected a file; copy it again"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise DataProblem(
            f"{path}: a folder, pipe or device; expected a file; remove it or copy the file there"
        )
    if not status.st_size:
        raise DataProblem(
            f"{path}: cannot be read (it holds 0 bytes); expected a whole {path.suffix[1:]} file; "
            "copy it again"
        )


@contextmanager
def open_picture(path: Path) -> Iterator[Picture]:
    """The one picture in a file, turned as its EXIF orientation says.

    Raises DataProblem naming the file where it is damaged or holds more than this can give:
    several frames, further channels, transparent pixels, 16 bits for each colour.
    """
    # Not by its path: Pillow would map uncompressed TIFF into memory, and scramble what is turned.
    with naming_file(path), path.open("rb") as stream, Image.open(stream) as picture:
        _refuse_frames(path, picture)
        _refuse_further_channels(path, picture)
        _refuse_deep_colour(path, picture)
        _refuse_inverted_depth(path, picture)
        is_lossy = _is_lossy(picture)
        picture.load()
        _refuse_transparency(path, picture)
        yield Picture(_upright(picture), is_lossy)


def is_grey(picture: Image.Image) -> bool:
    """Whether a picture has one channel, alpha aside."""
    return picture.mode in ("1", "L", "LA", "La", "I", "F") or picture.mode.startswith("I;16")


def _upright(picture: Image.Image) -> Image.Image:
    """The picture as viewers show it."""
    try:
        is_turned = picture.getexif().get(ORIENTATION, 1) != 1
    except Exception:  # an EXIF block that cannot be read says nothing to viewers either
        return picture
    return ImageOps.exif_transpose(picture) if is_turned else picture


def _refuse_frames(path: Path, picture: Image.Image) -> None:
    """Raise DataProblem on a file of several pages or frames."""
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        word = "pages" if picture.format == "TIFF" else "frames"
        raise DataProblem(
            f"{path}: {frames} {word}; expected one image per file; save each one on its own"
        )


def _refuse_further_channels(path: Path, picture: Image.Image) -> None:
    """Raise DataProblem on TIFF with more channels than the decoder gives."""
    stored = getattr(picture, "tag_v2", {}).get(SAMPLES, 1)
    given = len(picture.getbands())
    if stored > given:
        raise DataProblem(
            f"{path}: {stored} channels, of which {given} can be read; expected grey or RGB; "
            "save the image as a .npy array (height, width, channels)"
        )


def _refuse_deep_colour(path: Path, picture: Image.Image) -> None:
    """Raise DataProblem on 16 bits for each colour, of which the decoder would drop 8."""
    if picture.mode.startswith("I"):
        return
    tiles = getattr(picture, "tile", [])
    if any(";16" in str(tile[3]) for tile in tiles):
        raise DataProblem(
            f"{path}: 16 bits for each of its colours; expected 8, or grey of 16; "
            "save it with 8 bits or as a .npy array of floats from 0 to 1"
        )


def _refuse_inverted_depth(path: Path, picture: Image.Image) -> None:
    """Raise DataProblem on 16-bit TIFF whose 0 is white: decoders do not turn its values round."""
    tags = getattr(picture, "tag_v2", {})
    if picture.mode.startswith("I") and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        raise DataProblem(
            f"{path}: 0 is white here (MINISWHITE); expected 0 to be black; invert the picture"
        )


def _is_lossy(picture: Image.Image) -> bool:
    """Whether the file's compression changes levels, whatever the file is called."""
    tags = getattr(picture, "tag_v2", {})
    return picture.format in LOSSY_FORMATS or tags.get(COMPRESSION) in JPEG_IN_TIFF


def _refuse_transparency(path: Path, picture: Image.Image) -> None:
    """Raise DataProblem where not every pixel is opaque: what shows there is not in the file."""
    if not picture.has_transparency_data:
        return
    if picture.mode.startswith("I"):  # one level is transparent
        hidden = int((np.array(picture) == picture.info["transparency"]).sum())
    else:
        alpha = np.array(picture.convert("RGBA").getchannel("A"))
        hidden = int((alpha < 255).sum())
    if hidden:
        raise DataProblem(
            f"{path}: {hidden} pixels are transparent; expected an opaque picture, "
            "as the alpha channel is not read; save it without alpha"
        )
