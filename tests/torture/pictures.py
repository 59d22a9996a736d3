"""A folder of pictures in odd forms: image and mask agree when they are read, or it is refused."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.torture import commands
from tests.torture.outcomes import Outcome

ORIENTATION = 0x0112  # the EXIF tag
AGREE = 0.9  # Dice of bright pixels and mask
PLAIN = [f"p{number:02}" for number in range(11)]  # cases beside the odd one
Grey = NDArray[np.uint8]


def draw_pair(rng: random.Random) -> tuple[Grey, Grey]:
    """A dark image with a bright box, and its mask (H W each), on a grid that is no square.

    The box begins and ends at even pixels, so that a mask of half the size loses nothing.
    """
    image = np.full((40, 60), 30, np.uint8)
    mask = np.zeros((40, 60), np.uint8)
    top, left = 2 * rng.randint(1, 6), 2 * rng.randint(1, 10)
    height, width = 2 * rng.randint(4, 10), 2 * rng.randint(5, 15)
    box = np.s_[top : top + height, left : left + width]
    image[box], mask[box] = 220, 255
    return image, mask


def turned_by_exif(image: Grey, mask: Grey, folder: Path, rng: random.Random) -> str:
    """The image is stored turned, with the tag that says so."""
    tag = rng.choice([2, 3, 4, 5, 6, 7, 8])
    turned = {
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.T,
        6: np.rot90(image),
        7: image[::-1, ::-1].T,
        8: np.rot90(image, -1),
    }[tag]
    picture = Image.fromarray(np.ascontiguousarray(turned))
    exif = picture.getexif()
    exif[ORIENTATION] = tag
    picture.save(folder / "images" / "odd.jpg", exif=exif, quality=95)
    Image.fromarray(mask).save(folder / "masks" / "odd.png")
    return f"EXIF {tag}"


def transposed_mask(image: Grey, mask: Grey, folder: Path, _rng: random.Random) -> str:
    """The mask is stored transposed."""
    return _save(folder, Image.fromarray(image), Image.fromarray(mask.T.copy()), "transposed mask")


def smaller_mask(image: Grey, mask: Grey, folder: Path, _rng: random.Random) -> str:
    """The mask is stored at half the size; it has the same aspect."""
    small = Image.fromarray(mask).resize((30, 20), Image.Resampling.NEAREST)
    return _save(folder, Image.fromarray(image), small, "mask of half the size")


def squeezed_mask(image: Grey, mask: Grey, folder: Path, _rng: random.Random) -> str:
    """The mask has another aspect."""
    wrong = np.zeros((40, 40), np.uint8)
    wrong[:, :40] = mask[:, :40]
    return _save(folder, Image.fromarray(image), Image.fromarray(wrong), "mask cut to a square")


def twelve_bits(image: Grey, mask: Grey, folder: Path, _rng: random.Random) -> str:
    """12-bit values in a 16-bit file."""
    deep = Image.fromarray(image.astype(np.uint16) * 16)
    return _save(folder, deep, Image.fromarray(mask), "12 bits in 16", all_images=True)


def palette_mask(image: Grey, mask: Grey, folder: Path, rng: random.Random) -> str:
    """The mask is a palette picture whose colours are black and another."""
    picture = Image.fromarray((mask > 0).astype(np.uint8), "P")
    colour = [rng.randint(1, 255), rng.randint(0, 255), rng.randint(0, 255)]
    picture.putpalette([0, 0, 0, *colour])
    return _save(folder, Image.fromarray(image), picture, f"palette {colour}")


def mask_of_other_kind(image: Grey, mask: Grey, folder: Path, rng: random.Random) -> str:
    """The mask is stored in another mode."""
    mode = rng.choice(["1", "RGB", "RGBA", "LA", "I;16", "CMYK"])
    if mode == "I;16":
        picture = Image.fromarray(mask.astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(mask).convert(mode)
    ending = "tif" if mode == "CMYK" else "png"
    return _save(folder, Image.fromarray(image), picture, f"mask of mode {mode}", ending=ending)


def mask_in_alpha(image: Grey, mask: Grey, folder: Path, _rng: random.Random) -> str:
    """The mask is white everywhere, and its shape stands in the transparency."""
    picture = Image.new("RGBA", (60, 40), (255, 255, 255, 0))
    picture.putalpha(Image.fromarray(mask))
    return _save(folder, Image.fromarray(image), picture, "mask in alpha")


def jpeg_mask(image: Grey, mask: Grey, folder: Path, _rng: random.Random) -> str:
    """The mask is a JPEG, with values near black and white."""
    picture = Image.fromarray(mask)
    return _save(folder, Image.fromarray(image), picture, "JPEG mask", ending="jpg")


def three_levels(image: Grey, mask: Grey, folder: Path, _rng: random.Random) -> str:
    """Two structures with a grey level each, and nothing that names them."""
    levels = mask.copy()
    levels[30:, :20] = 128
    words = "three levels; must be refused"
    return _save(folder, Image.fromarray(image), Image.fromarray(levels), words, all_masks=True)


def several_frames(image: Grey, mask: Grey, folder: Path, _rng: random.Random) -> str:
    """A TIFF with a second page of another content."""
    first = Image.fromarray(np.full_like(image, 30))
    path = folder / "images" / "odd.tif"
    first.save(path, save_all=True, append_images=[Image.fromarray(image)])
    Image.fromarray(mask).save(folder / "masks" / "odd.png")
    return "two frames"


def negative_mask(image: Grey, mask: Grey, folder: Path, rng: random.Random) -> str:
    """A .npy mask of values that no class has."""
    value = rng.choice([-1, -0.9, 0.5, np.nan, 1 + 2j])
    np.save(folder / "masks" / "odd.npy", (mask > 0) * value)
    Image.fromarray(image).save(folder / "images" / "odd.png")
    return f"mask value {value}"


def damaged_file(image: Grey, mask: Grey, folder: Path, rng: random.Random) -> str:
    """The image or the mask is cut, empty, a folder or no picture."""
    _save(folder, Image.fromarray(image), Image.fromarray(mask), "")
    victim = folder / rng.choice(["images", "masks"]) / "odd.png"
    content = victim.read_bytes()
    way = rng.choice(["cut", "empty", "folder", "text", "loop"])
    victim.unlink()
    if way == "folder":
        victim.mkdir()
    elif way == "loop":
        victim.symlink_to(victim)
    else:
        contents = {"cut": content[: len(content) // 2], "empty": b"", "text": b"not a picture"}
        victim.write_bytes(contents[way])
    return f"{victim.parent.name}: {way}"


def _save(
    folder: Path,
    image: Image.Image,
    mask: Image.Image,
    words: str,
    ending: str = "png",
    all_images: bool = False,
    all_masks: bool = False,
) -> str:
    """Save the odd pair; where asked, the other pairs become like it."""
    image.save(folder / "images" / "odd.png")
    mask.save(folder / "masks" / f"odd.{ending}")
    for name in PLAIN:
        if all_images:
            image.save(folder / "images" / f"{name}.png")
        if all_masks or all_images:
            mask.save(folder / "masks" / f"{name}.png")
    return words


WAYS: tuple[Callable[[Grey, Grey, Path, random.Random], str], ...] = (
    turned_by_exif,
    transposed_mask,
    smaller_mask,
    squeezed_mask,
    twelve_bits,
    palette_mask,
    mask_of_other_kind,
    mask_in_alpha,
    jpeg_mask,
    three_levels,
    several_frames,
    negative_mask,
    damaged_file,
)


def try_one(seed: int, work: Path) -> Outcome:
    """One data set with an odd pair among plain ones."""
    rng = random.Random(seed)
    folder = work / f"pictures{seed}"
    for name in ("images", "masks"):
        (folder / "data" / "odd" / name).mkdir(parents=True)
    data = folder / "data" / "odd"
    for name in PLAIN:
        image, mask = draw_pair(rng)
        image = image + np.uint8(rng.randrange(20))  # no two are alike
        Image.fromarray(image).save(data / "images" / f"{name}.png")
        Image.fromarray(mask).save(data / "masks" / f"{name}.png")
    image, mask = draw_pair(rng)
    words = rng.choice(WAYS)(image, mask, data, rng)
    ended = commands.run(["data", "check", "folder:odd", "--data", "data"], folder, 60)
    fault = fault_of_check(ended)
    if not fault and ended.code == 0:
        read = commands.call(lambda: disagreement("folder:odd", folder / "data"), folder, 60)
        fault = commands.fault_of(read, allowed=(0,)) or read.out.strip()
    if not fault and ended.code == 0 and "must be refused" in words:
        fault = "accepted"
    shutil.rmtree(folder)
    end = "read right" if ended.code == 0 else "refused"
    return Outcome("pictures", f"seed {seed} ({words})", end, fault)


def fault_of_check(ended: commands.Ended) -> str:
    """Like `fault_of`, but `data check` lists all problems on its standard output."""
    if ended.code == 2 and not ended.err.strip():
        return "" if "Traceback" not in ended.out else "traceback"
    return commands.fault_of(ended, allowed=(0, 2))


def disagreement(dataset: str, data: Path) -> str:
    """Where bright pixels and mask of a case differ; "" where they agree in all cases."""
    from bench import registry

    chosen = registry.dataset(dataset, data)[0]
    for record in chosen.records():
        case = chosen.read(record)
        assert case.mask is not None
        image = np.asarray(case.image, float).mean(0)
        span = image.max() - image.min()
        bright = image > image.min() + span / 2
        inside = np.asarray(case.mask) > 0
        both = 2 * (bright & inside).sum() / max(1, bright.sum() + inside.sum())
        if both < AGREE:
            return f"{record.id}: Dice of bright pixels and mask {both:.3f}, without a word"
    return ""
