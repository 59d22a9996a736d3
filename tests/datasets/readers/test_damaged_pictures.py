"""Pictures whose bytes are not those that were written, and TIFF that decoders read as others."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.errors import DataProblem
from datasets.readers.masks import read_mask
from datasets.readers.pictures import count_channels, read_image

TWO = ("background", "lesion")
NOISE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)


def lose_the_end(path: Path, share: float) -> None:
    """What an interrupted copy leaves where the whole file was reserved before."""
    content = path.read_bytes()
    whole = int(len(content) * share)
    path.write_bytes(content[:whole].ljust(len(content), b"\0"))


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["grey 16", "palette", "colour", "jpeg", "progressive jpeg"])
def test_an_end_of_zeros_is_not_read_as_black(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / ("a.jpg" if "jpeg" in kind else "a.png")
    picture = Image.fromarray(NOISE)
    if kind == "grey 16":
        picture = Image.fromarray(NOISE[:, :, 0].astype(np.uint16) * 9)
    elif kind == "palette":
        picture = picture.quantize(64)
    picture.save(path, **({"progressive": True} if "progressive" in kind else {}))
    read_image(path)
    lose_the_end(path, share)
    with pytest.raises(DataProblem, match=rf"{path.name}: cannot be read .*; copy it again"):
        read_image(path)


def test_a_byte_of_pixels_that_was_changed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path, compress_level=0)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        DataProblem, match=r"a\.png: cannot be read \(bytes from \d+ on are damaged"
    ):
        read_image(path)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_what_is_appended_to_a_picture_is_no_damage(tmp_path: Path, ending: str) -> None:
    """Phones append films to photographs."""
    path = tmp_path / f"a.{ending}"
    Image.fromarray(NOISE).save(path)
    pixels = read_image(path)
    path.write_bytes(path.read_bytes() + b"\xff\xda film" * 50)
    np.testing.assert_array_equal(read_image(path), pixels)


@pytest.mark.parametrize("kind", ["EPS", "PCX", "ICO"])
def test_other_kinds_of_pictures_are_not_opened_by_their_content(tmp_path: Path, kind: str) -> None:
    """EPS is a program: Pillow hands it to Ghostscript, whatever the file is called."""
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path, format=kind)
    for read in (read_image, count_channels, lambda path: read_mask(path, TWO)):
        with pytest.raises(DataProblem, match=r"a\.png: cannot be read \(no png, jpg, tif"):
            read(path)


def write_tiff(path: Path, pixels: NDArray[Any], white_is_zero: bool = False) -> Path:
    """A TIFF of one strip (grey H W) or of one for each colour (3 H W), as it is in memory."""
    planes = pixels if pixels.ndim == 3 else pixels[None]
    height, width = planes.shape[1:]
    sample_format = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    photometric = 2 if len(planes) == 3 else int(not white_is_zero)
    size = planes[0].nbytes
    tags: dict[int, list[int]] = {256: [width], 257: [height]}
    tags[258] = [8 * pixels.itemsize] * len(planes)
    tags |= {259: [1], 262: [photometric], 273: [0] * len(planes), 277: [len(planes)]}
    tags |= {278: [height], 279: [size] * len(planes), 284: [2 if len(planes) == 3 else 1]}
    tags[339] = [sample_format] * len(planes)
    far_at = 8 + 2 + 12 * len(tags) + 4
    data_at = far_at + 4 * sum(len(values) for values in tags.values() if len(values) > 1)
    tags[273] = [data_at + number * size for number in range(len(planes))]
    entries = b""
    far = b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            far += packed
            packed = struct.pack("<I", far_at + len(far) - len(packed))
        entries += struct.pack("<HHI", tag, 4, len(values)) + packed
    header = b"II*\0" + struct.pack("<IH", 8, len(tags))
    path.write_bytes(header + entries + bytes(4) + far + planes.tobytes())
    return path


GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_tiff_of_colours_in_planes_is_read(tmp_path: Path) -> None:
    planes = np.stack([GREY, GREY + 20, GREY + 40])
    np.testing.assert_array_equal(read_image(write_tiff(tmp_path / "a.tif", planes)), planes)
    np.testing.assert_array_equal(read_image(write_tiff(tmp_path / "b.tif", GREY))[0], GREY)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.stack([GREY] * 3).astype(np.uint16) * 999, "16 bits for each of its colours"),
        (GREY.astype(np.int8) - 5, "signed values of 8 bits; expected 0 to 255, or 16 bits"),
        (GREY.astype(np.uint32) * 390_000_000, "values above 2147483647; expected smaller ones"),
    ],
)
def test_tiff_that_decoders_give_other_values_of_is_refused(
    tmp_path: Path, pixels: NDArray[Any], words: str
) -> None:
    path = write_tiff(tmp_path / "a.tif", pixels)
    for read in (read_image, lambda path: read_mask(path, TWO)):
        with pytest.raises(DataProblem, match=rf"a\.tif: {words}"):
            read(path)


def test_tiff_of_whole_numbers_below_the_bound_is_read(tmp_path: Path) -> None:
    large = GREY.astype(np.uint32) * 190_000_000
    np.testing.assert_allclose(read_image(write_tiff(tmp_path / "a.tif", large))[0], large)
    below = GREY.astype(np.int16) - 5
    np.testing.assert_array_equal(read_image(write_tiff(tmp_path / "b.tif", below))[0], below)


def test_floats_that_are_white_at_0_are_refused(tmp_path: Path) -> None:
    floats = GREY.astype(np.float32) / 12
    path = write_tiff(tmp_path / "a.tif", floats, white_is_zero=True)
    with pytest.raises(DataProblem, match=r"a\.tif: 0 is white here"):
        read_image(path)


def test_a_mask_that_is_white_at_0_is_refused_and_such_an_image_is_shown(tmp_path: Path) -> None:
    """Programs that save arrays write 1 as black, and foreground came out as background."""
    box = np.zeros((6, 8), np.uint8)
    box[2:4, 3:6] = 255
    path = write_tiff(tmp_path / "a.tif", box, white_is_zero=True)
    with pytest.raises(DataProblem, match=r"a\.tif: a mask in which 0 is stored as white"):
        read_mask(path, TWO)
    np.testing.assert_array_equal(read_image(path)[0], 255 - box)
