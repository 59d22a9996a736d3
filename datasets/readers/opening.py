"""Opens files of pictures: only regular files, upright, one frame, with nothing left out unsaid."""

from __future__ import annotations

import stat
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bench.errors import DataProblem

LOSSY_FORMATS = frozenset({"JPEG", "MPO", "JPEG2000", "WEBP"})
# What a file may hold, whatever it is called. Pillow knows more, and would run Ghostscript on EPS.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "GIF", "WEBP", "JPEG2000")
BITS = 258  # TIFF tags
COMPRESSION = 259
PHOTOMETRIC = 262
SAMPLES = 277
SAMPLE_FORMAT = 339
WHITE_IS_ZERO = 0
UNSIGNED = 1  # sample formats
SIGNED = 2
LOSSY_IN_TIFF = (6, 7, 33003, 33005, 34712, 34887, 50001)  # JPEG, JPEG 2000, LERC and WebP
ORIENTATION = 0x0112  # EXIF tag
PNG_START = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
START_OF_SCAN = 0xDA  # second bytes of JPEG markers
NO_LENGTH = (0x01, *range(0xD0, 0xD9))
IS_ANCILLARY = 32  # bit of the first letter of a PNG chunk


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, upright as a viewer shows it."""

    image: Image.Image
    is_lossy: bool  # its levels are not exactly those that were saved
    is_inverted: bool = False  # stored with 0 as white, and turned round as viewers do


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
    except UnidentifiedImageError as error:
        raise DataProblem(
            f"{path}: cannot be read (no png, jpg, tif, bmp or gif, or one of an unusual kind); "
            f"expected a whole {path.suffix[1:]} file; copy it again, or save it as png or npy"
        ) from error
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
    with naming_file(path), _opened(path) as picture:
        _refuse_frames(path, picture)
        _refuse_further_channels(path, picture)
        _refuse_deep_colour(path, picture)
        _refuse_signed_bytes(path, picture)
        _refuse_inverted_depth(path, picture)
        is_lossy = _is_lossy(picture)
        picture.load()
        _refuse_overflow(path, picture)
        _refuse_transparency(path, picture)
        yield Picture(_upright(picture), is_lossy, _tags(picture).get(PHOTOMETRIC) == WHITE_IS_ZERO)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture whose bytes are those that were written, as far as its format tells."""
    # Not by its path: Pillow would map uncompressed TIFF into memory, and scramble what is turned.
    with path.open("rb") as stream:
        _refuse_damage(stream)
        with Image.open(stream, formats=FORMATS) as picture:
            yield picture


@contextmanager
def open_header(path: Path) -> Iterator[Image.Image]:
    """A picture whose pixels are not looked at. Raises DataProblem naming the file."""
    with naming_file(path), Image.open(path, formats=FORMATS) as picture:
        yield picture


def _refuse_damage(stream: BinaryIO) -> None:
    """Raise ValueError on a PNG or JPEG of which a part was not written or was changed later.

    Decoders would show black there: they pass over checksums, and take zeros for pixels.
    """
    start = stream.read(len(PNG_START))
    is_png = start == PNG_START
    if is_png or start.startswith(JPEG_START):
        content = start + stream.read()
        if is_png:
            _check_png(content)
        else:
            _check_jpeg(content)
    stream.seek(0)


def _check_png(content: bytes) -> None:
    """Raise ValueError where a chunk of pixels or colours is not what its checksum says."""
    view = memoryview(content)
    at = len(PNG_START)
    while at + 12 <= len(content):
        length = int.from_bytes(view[at : at + 4], "big")
        kind = bytes(view[at + 4 : at + 8])
        end = at + 8 + length
        if kind == b"IEND":
            return
        stated = int.from_bytes(view[end : end + 4], "big")
        is_needed = not kind[0] & IS_ANCILLARY or kind == b"tRNS"
        if is_needed and zlib.crc32(view[at + 4 : end]) != stated:
            raise ValueError(f"bytes from {at} on are damaged")
        at = end + 4


def _check_jpeg(content: bytes) -> None:
    """Raise ValueError where no end follows the first scan of pixels."""
    at = len(JPEG_START)
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == START_OF_SCAN:
            if content.find(JPEG_END, at) < 0:
                raise ValueError(f"no end of the picture behind byte {at}, its bytes are damaged")
            return
        if marker == 0xFF:  # a byte that fills up
            at += 1
        elif marker in NO_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")


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


def _tags(picture: Image.Image) -> Mapping[int, Any]:
    """The tags of a TIFF; none of other formats."""
    return getattr(picture, "tag_v2", {})


def _refuse_further_channels(path: Path, picture: Image.Image) -> None:
    """Raise DataProblem on TIFF with more channels than the decoder gives."""
    stored = _tags(picture).get(SAMPLES, 1)
    given = len(picture.getbands())
    if stored > given:
        raise DataProblem(
            f"{path}: {stored} channels, of which {given} can be read; expected grey or RGB; "
            "save the image as a .npy array (height, width, channels)"
        )


def _refuse_deep_colour(path: Path, picture: Image.Image) -> None:
    """Raise DataProblem on 16 bits for each colour, of which the decoder would drop 8."""
    if picture.mode.startswith(("I", "F")):
        return
    tiles = getattr(picture, "tile", [])
    is_deep_tiff = max(_numbers(picture, BITS)) > 8  # whose tiles do not say so, plane by plane
    if is_deep_tiff or any(";16" in str(tile[3]) for tile in tiles):
        raise DataProblem(
            f"{path}: 16 bits for each of its colours; expected 8, or grey of 16; "
            "save it with 8 bits or as a .npy array of floats from 0 to 1"
        )


def _numbers(picture: Image.Image, tag: int) -> tuple[int, ...]:
    """The numbers of a TIFF tag, one for each channel; 1 where it is not given."""
    given = _tags(picture).get(tag, (1,))
    return tuple(given) if isinstance(given, tuple) else (int(given),)


def _refuse_signed_bytes(path: Path, picture: Image.Image) -> None:
    """Raise DataProblem on TIFF of -128 to 127: decoders add 256 to what is below 0."""
    is_signed = SIGNED in _numbers(picture, SAMPLE_FORMAT)
    if is_signed and max(_numbers(picture, BITS)) <= 8:
        raise DataProblem(
            f"{path}: signed values of 8 bits; expected 0 to 255, or 16 bits; save it as one of "
            "these"
        )


def _refuse_overflow(path: Path, picture: Image.Image) -> None:
    """Raise DataProblem on unsigned values of 32 bits that the decoder took for negative ones."""
    is_unsigned = _numbers(picture, SAMPLE_FORMAT) == (UNSIGNED,)
    is_deep = picture.mode == "I" and _numbers(picture, BITS) == (32,)
    if is_deep and is_unsigned and int(np.array(picture).min()) < 0:
        raise DataProblem(
            f"{path}: values above {2**31 - 1}; expected smaller ones; save it with 16 bits or as "
            "a .npy array of floats from 0 to 1"
        )


def _refuse_inverted_depth(path: Path, picture: Image.Image) -> None:
    """Raise DataProblem on deep TIFF whose 0 is white: decoders do not turn its values round."""
    is_inverted = _tags(picture).get(PHOTOMETRIC) == WHITE_IS_ZERO
    if picture.mode.startswith(("I", "F")) and is_inverted:
        raise DataProblem(
            f"{path}: 0 is white here (MINISWHITE); expected 0 to be black; invert the picture"
        )


def _is_lossy(picture: Image.Image) -> bool:
    """Whether the file's compression changes levels, whatever the file is called."""
    return picture.format in LOSSY_FORMATS or _tags(picture).get(COMPRESSION) in LOSSY_IN_TIFF


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
