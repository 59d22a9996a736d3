"""Files that hold more, less or something else than one upright opaque picture."""

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from bench.api import Record
from bench.errors import DataProblem
from datasets.readers.image_file import read_image_file
from datasets.readers.masks import RESIZED, read_mask
from datasets.readers.pictures import count_channels, read_case, read_image

TWO = ("background", "lesion")
ORIENTATION = 0x0112
BOX = np.zeros((60, 100), np.uint8)  # upright, as a viewer shows it
BOX[5:25, 10:70] = 255
# How a camera stores the upright picture, by the tag that says so.
STORED = {
    1: BOX,
    2: BOX[:, ::-1],
    3: BOX[::-1, ::-1],
    4: BOX[::-1],
    5: BOX.T,
    6: np.rot90(BOX),
    7: BOX[::-1, ::-1].T,
    8: np.rot90(BOX, -1),
}


def tagged(path: Path, pixels: NDArray[Any], orientation: int) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, exif=exif)
    return path


@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_is_read_as_it_is_shown(tmp_path: Path, ending: str, orientation: int) -> None:
    """B05: the bright box lies where the upright mask has it."""
    image = tagged(tmp_path / f"a.{ending}", STORED[orientation], orientation)
    mask = tmp_path / "m.png"
    Image.fromarray(BOX).save(mask)
    case = read_case(Record("a", "a", None, image=image, masks=(mask,)), 1, TWO)
    assert (case.image.shape, case.notes) == ((1, 60, 100), ())
    np.testing.assert_array_equal(case.image[0] > 127, case.mask)
    np.testing.assert_array_equal(read_image_file(image)[0], case.image)
    if ending != "jpg":
        np.testing.assert_array_equal(read_mask(image, TWO), BOX > 0)


@pytest.mark.parametrize("shape", [(100, 60), (200, 300), (40, 100), (61, 100)])
def test_a_mask_of_another_aspect_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    image, mask = tmp_path / "a.png", tmp_path / "m.png"
    Image.fromarray(BOX).save(image)
    Image.fromarray(np.zeros(shape, np.uint8)).save(mask)
    record = Record("a", "a", None, image=image, masks=(mask,))
    words = rf"m\.png: a mask of {shape[0]}x{shape[1]} pixels; expected 60x100, as a\.png"
    with pytest.raises(DataProblem, match=words):
        read_case(record, 1, TWO)


@pytest.mark.parametrize("shape", [(120, 200), (180, 300), (181, 300)])
def test_a_mask_of_the_same_aspect_is_resized_and_said(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    image, mask = tmp_path / "a.png", tmp_path / "m.png"
    Image.fromarray(BOX).save(image)
    Image.fromarray(BOX).resize(shape[::-1], Image.Resampling.NEAREST).save(mask)
    case = read_case(Record("a", "a", None, image=image, masks=(mask,)), 1, TWO)
    assert case.notes == (RESIZED,)
    assert case.mask is not None
    assert (case.mask == (BOX > 0)).mean() > 0.98


def test_transparent_pixels_are_refused_in_images_and_masks(tmp_path: Path) -> None:
    alpha = Image.fromarray(np.full_like(BOX, 255))
    alpha.putpixel((3, 3), 254)
    grey = Image.fromarray(BOX)
    pictures = {"la.png": Image.merge("LA", (grey, alpha))}
    pictures["rgba.png"] = Image.merge("RGBA", (grey, grey, grey, alpha))
    for name, picture in pictures.items():
        picture.save(tmp_path / name)
        for read in (read_image, lambda path: read_mask(path, TWO)):
            with pytest.raises(DataProblem, match=rf"{name}: 1 pixels are transparent"):
                read(tmp_path / name)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "1"])
def test_a_colour_that_counts_as_transparent_is_refused(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(BOX).convert(mode)
    transparent = (0, 0, 0) if mode == "RGB" else 0
    picture.save(tmp_path / "t.png", transparency=transparent)
    with pytest.raises(DataProblem, match=r"t\.png: \d+ pixels are transparent"):
        read_image(tmp_path / "t.png")


def test_a_mask_in_the_alpha_channel_is_refused(tmp_path: Path) -> None:
    black = Image.new("L", (100, 60))
    Image.merge("RGBA", (black, black, black, Image.fromarray(BOX))).save(tmp_path / "m.png")
    with pytest.raises(DataProblem, match="as the alpha channel is not read"):
        read_mask(tmp_path / "m.png", TWO)


@pytest.mark.parametrize(("ending", "word"), [("png", "frames"), ("tif", "pages")])
def test_several_frames_are_refused(tmp_path: Path, ending: str, word: str) -> None:
    frames = [Image.fromarray(np.roll(BOX, step)) for step in (0, 300, 900)]
    path = tmp_path / f"a.{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(DataProblem, match=rf"a\.{ending}: 3 {word}; expected one image per file"):
        read_image(path)
    gif = tmp_path / "really_a_gif.png"
    frames[0].save(gif, format="GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(DataProblem, match="3 frames"):
        read_mask(gif, TWO)


def deep_png(path: Path, colour_type: int, channels: int) -> Path:
    """A PNG of 16 bits for each channel, which Pillow cannot write."""
    import struct
    import zlib

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    row = b"\0" + b"\x0f\xff" * 4 * channels  # 4095: black in the upper 8 bits
    header = struct.pack(">IIBBBBB", 4, 3, 16, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 3)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (6, 4), (4, 2)])
def test_colour_of_16_bits_is_refused(tmp_path: Path, colour_type: int, channels: int) -> None:
    path = deep_png(tmp_path / "a.png", colour_type, channels)
    with pytest.raises(DataProblem, match=r"a\.png: 16 bits for each of its colours; expected 8"):
        read_image(path)


def test_grey_of_16_bits_that_is_white_at_0_is_refused(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[262] = 0
    Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(tmp_path / "a.tif", tiffinfo=tags)
    with Image.open(tmp_path / "a.tif") as picture:
        if picture.tag_v2[262] != 0:  # type: ignore[attr-defined]
            pytest.skip("this Pillow does not write the tag")
    with pytest.raises(DataProblem, match=r"a\.tif: 0 is white here"):
        read_image(tmp_path / "a.tif")


NAMES = ["a.png", "a.tif", "a.npy", "a.nii", "a.nii.gz"]


@pytest.mark.parametrize("name", NAMES)
def test_pipes_devices_folders_and_broken_links_are_named_at_once(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    refuse_reading(path, "a folder, pipe or device; expected a file")
    path.unlink()
    path.mkdir()
    refuse_reading(path, "a folder, pipe or device; expected a file")
    path.rmdir()
    path.symlink_to("/dev/zero")
    refuse_reading(path, "a folder, pipe or device; expected a file")
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    refuse_reading(path, "cannot be read .*; expected a file")
    path.unlink()
    path.symlink_to(path)
    refuse_reading(path, "cannot be read .*; expected a file")
    path.unlink()
    path.write_bytes(b"")
    refuse_reading(path, "cannot be read .*; expected a whole")


def refuse_reading(path: Path, words: str) -> None:
    with pytest.raises(DataProblem, match=rf"{path.name}: {words}") as caught:
        read_image_file(path)
    assert "\n" not in str(caught.value)
    if ".nii" not in path.name:
        for read in (count_channels, lambda path: read_mask(path, TWO)):
            with pytest.raises(DataProblem, match=path.name):
                read(path)


def test_a_decompression_bomb_is_named(tmp_path: Path) -> None:
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    with pytest.raises(DataProblem, match=r"bomb\.png: cannot be read .*; expected a whole png"):
        read_image(tmp_path / "bomb.png")


def with_channels(path: Path, channels: int, photometric: int) -> None:
    """A TIFF of 2 by 2 pixels with channels beyond grey (1) or RGB (2), as microscopes write it."""
    depth = channels * [8]
    tags = {256: [2], 257: [2], 258: depth, 259: [1], 262: [photometric], 277: [channels]}
    tags |= {278: [2], 279: [4 * channels], 338: [0] * (channels - (3 if photometric == 2 else 1))}
    tags[273] = [0]
    data_at = 8 + 2 + 12 * len(tags) + 4
    far = b"".join(struct.pack(f"<{len(v)}H", *v) for v in tags.values() if len(v) > 2)
    tags[273] = [data_at + len(far)]
    entries = b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}H", *values).ljust(4, b"\0")
        if len(values) > 2:
            packed = struct.pack("<I", data_at)
            data_at += 2 * len(values)
        entries += struct.pack("<HHI", tag, 3, len(values)) + packed
    header = b"II*\0" + struct.pack("<IH", 8, len(tags))
    path.write_bytes(header + entries + bytes(4) + far + bytes(range(4 * channels)))


@pytest.mark.parametrize(("channels", "photometric"), [(2, 1), (4, 2), (5, 2)])
def test_channels_that_would_be_dropped_are_named(
    tmp_path: Path, channels: int, photometric: int
) -> None:
    """The near infrared beside red, green and blue was dropped without a word."""
    path = tmp_path / "a.tif"
    with_channels(path, channels, photometric)
    words = rf"a\.tif: {channels} channels, of which {2 * photometric - 1} can be read; .*\.npy"
    for read in (read_image, lambda path: read_mask(path, TWO)):
        with pytest.raises(DataProblem, match=words):
            read(path)


def test_three_channels_are_all_that_there_is(tmp_path: Path) -> None:
    with_channels(tmp_path / "a.tif", 3, 2)
    assert read_image(tmp_path / "a.tif")[:, 0, 0].tolist() == [0, 1, 2]


def test_an_empty_file_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DataProblem, match=r"a\.png: cannot be read \(it holds 0 bytes\)"):
        count_channels(tmp_path / "a.png")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.filterwarnings("error")
def test_a_truncated_tiff_is_one_problem_and_no_warning(
    tmp_path: Path, share: float, compression: str | None
) -> None:
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8)
    Image.fromarray(noise).save(path, compression=compression)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataProblem, match=r"a\.tif: cannot be read"):
        read_image(path)
