"""Test cases as pictures: image, reference in blue, and each method's prediction in orange."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.board.schema import Panel, Sheet
from reports.page.embedded import data_uri

SIDE = 256  # display pixels of the longer side at most
BLUE, ORANGE = (86, 180, 255), (255, 140, 0)  # told apart by every common kind of colour vision
THICK = 2  # display pixels of an outline
HATCH = 6  # display pixels from one line of a hatched area to the next
LINES = ("solid", "dashed", "dotted")
DASHES = ((1, 1), (12, 8), (6, 3))  # period and drawn part of each of LINES, display pixels
RULES = {
    "worst": "the lowest Dice of {reference}",
    "median": "the median Dice of {reference}",
    "best": "the highest Dice of {reference}",
    "largest disagreement": "the largest difference in Dice between methods",
}

Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]  # H W (class numbers) or H W 3 (colours)
Size = tuple[int, int]  # height and width, display pixels


@dataclass(frozen=True, slots=True)
class Layer:
    """A see-through drawing over a picture, which the page can leave out."""

    kind: str  # "reference", "prediction", "fp", "fn"
    uri: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture with its words; no uri where there is nothing to show."""

    title: str
    note: str
    alt: str
    uri: str | None
    width: int
    height: int
    # The reference comes first: all tiles of a case share it, and the picture below it.
    layers: tuple[Layer, ...] = ()
    is_enlarged: bool = False  # its file has fewer pixels than it shows; they stay squares


WITHHELD = Tile(
    title="Picture left out",
    note="the licence of the data does not permit redistribution",
    alt="Picture left out",
    uri=None,
    width=SIDE,
    height=SIDE,
)


# ---- Tiles


def case_tiles(panel: Panel, called: str = "Test case") -> list[Tile]:
    """The image, the reference, then each prediction with the reference beside it.

    `called` is what the case is, for those who cannot see the pictures.
    """
    if panel.image is None or panel.reference is None:
        return [WITHHELD]
    height, width = panel.image.shape[:2]
    size = display_size(height, width)
    name = f"{called} {panel.case}"
    image = _photo("Image", "", f"{name}, image alone", panel.image, size)
    muted = _mute_colours(panel.image)
    outline = _transparent_png(_outline(panel.reference, size, inside=False), BLUE)
    reference = replace(
        _photo("Reference", "", f"{name}, reference outlined in blue", muted, size),
        layers=(Layer("reference", outline),),
    )
    tiles = [image, reference]
    for label, dice, prediction in panel.predictions:
        note = "Dice n/a" if dice is None else f"Dice {dice:.3f}"
        if prediction is None:
            tiles.append(_missing_tile(name, reference, label, note))
        else:
            layers = tuple(_prediction_layers(prediction, panel.reference, size))
            tile = _prediction_tile(name, reference, label, note, bool(prediction.any()))
            tiles.append(replace(tile, layers=(*reference.layers, *layers)))
    return tiles


def _missing_tile(name: str, reference: Tile, label: str, note: str) -> Tile:
    alt = f"{name}, {label}: no prediction"
    return replace(reference, title=label, note=note, alt=alt, uri=None, layers=())


def _prediction_tile(name: str, reference: Tile, label: str, note: str, drawn: bool) -> Tile:
    alt = f"{name}, prediction of {label} in orange over the reference in blue, {note}"
    if not drawn:
        alt = f"{alt}, the prediction is empty"
        note = f"{note}, empty"
    return replace(reference, title=label, note=note, alt=alt)


def sheet_tiles(sheet: Sheet) -> list[tuple[Tile, ...]]:
    """A row of tiles for each image of a sheet."""
    if sheet.images is None or sheet.nearest is None:
        return [(WITHHELD,)]
    height, width = sheet.images.shape[1:3]
    size = display_size(height, width)
    if sheet.normals is not None:
        return list(_pseudo_normal_rows(sheet, size))
    return list(_synthetic_rows(sheet, size))


def _synthetic_rows(sheet: Sheet, size: Size) -> Iterator[tuple[Tile, ...]]:
    """Each synthetic image, also with its mask outlined, and its nearest training image."""
    assert sheet.images is not None and sheet.nearest is not None
    for number, image in enumerate(sheet.images):
        name = f"Synthetic image {number + 1} of {sheet.label}"
        tiles = [_photo("Synthetic", sheet.kinds[number], name, image, size)]
        if sheet.masks is not None:
            outline = _outline(sheet.masks[number], size, inside=True)
            outlined = _paint(_mute_colours(_enlarge(image, size)), outline, ORANGE)
            tiles.append(_tile("With its mask", "", f"{name}, mask in orange", outlined))
        if sheet.words:
            nearest = sheet.nearest[number]
            alt = f"Training image nearest to {name}"
            words = sheet.words[number]
            tiles.append(_photo("Nearest training image", words, alt, nearest, size))
        yield tuple(tiles)


def _pseudo_normal_rows(sheet: Sheet, size: Size) -> Iterator[tuple[Tile, ...]]:
    """Each test image, what it became, the difference, and the true mask.

    In the difference grey is no change, and a change shows five times as strong.
    """
    assert sheet.normals is not None and sheet.masks is not None and sheet.images is not None
    pairs = zip(sheet.images, sheet.normals, strict=True)
    for number, (before, after) in enumerate(pairs):
        name = f"{sheet.kinds[number]}, {sheet.label}"
        change = np.clip(128 + 5 * (after.astype(int) - before), 0, 255).astype(np.uint8)
        outline = _outline(sheet.masks[number], size, inside=False)
        outlined = _paint(_mute_colours(_enlarge(before, size)), outline, BLUE)
        kind, words = sheet.kinds[number], sheet.words[number]
        yield (
            _photo("Test image", kind, f"{name}: test image", before, size),
            _photo("Pseudo-normal", words, f"{name}: pseudo-normal image", after, size),
            _photo("Difference, amplified 5x", "", f"{name}: difference", change, size),
            _tile("Reference", "", f"{name}: lesion outlined in blue", outlined),
        )


def display_size(height: int, width: int) -> Size:
    """Small images grow by a whole factor, so that pixels stay squares; large ones shrink."""
    longer = max(height, width)
    if longer <= SIDE:
        factor = SIDE // longer
        return height * factor, width * factor
    return max(1, round(height * SIDE / longer)), max(1, round(width * SIDE / longer))


def rule_text(rule: str, reference: str) -> str:
    """Why a case was picked, in words."""
    return RULES.get(rule, rule).format(reference=reference)


def line_names(classes: Sequence[str]) -> list[tuple[str, str]]:
    """(line, class) for the legend; the background has no line."""
    return [(LINES[number % len(LINES)], name) for number, name in enumerate(classes[1:])]


# ---- Layers


def _prediction_layers(prediction: Pixels, reference: Pixels, size: Size) -> Iterator[Layer]:
    """The outline of a prediction; then false positives and false negatives, hatched two ways."""
    outline = _outline(prediction, size, inside=True)
    yield Layer("prediction", _transparent_png(outline, ORANGE))
    y, x = np.indices(size)
    wrong = prediction != reference
    false_positives = wrong & (prediction > 0)
    if false_positives.any():
        hatched = _on_display(false_positives, size) & _stripes(x + y)
        yield Layer("fp", _transparent_png(hatched, ORANGE))
    false_negatives = wrong & (reference > 0)
    if false_negatives.any():
        hatched = _on_display(false_negatives, size) & _stripes(x - y)
        yield Layer("fn", _transparent_png(hatched, BLUE))


def _stripes(position: NDArray[np.intp]) -> Mask:
    return np.asarray(position % HATCH < HATCH // 2)


def _outline(label_map: Pixels, size: Size, inside: bool) -> Mask:
    """Outlines of every class, drawn inside or outside of their regions.

    With one kind of each, two equal masks show both.
    """
    outline = np.zeros(size, bool)
    for number in np.unique(label_map[label_map > 0]):
        region = _on_display(label_map == number, size)
        ring = _inner_ring(region) if inside else _outer_ring(region)
        outline |= ring & _dash_pattern(size, int(number) - 1)
    return outline


def _inner_ring(region: Mask) -> Mask:
    return region & ~_erode(region, THICK)


def _outer_ring(region: Mask) -> Mask:
    return _dilate(region, THICK) & ~region


def _dash_pattern(size: Size, number: int) -> Mask:
    """Where the line of a class is drawn: everywhere, in dashes, in dots."""
    period, drawn = DASHES[number % len(DASHES)]
    y, x = np.indices(size)
    return np.asarray((x + 2 * y) % period < drawn)


def _on_display(region: Mask, size: Size) -> Mask:
    """A region on the display grid; shrinking keeps parts smaller than a display pixel."""
    grows = size[0] >= region.shape[0]
    how = Image.Resampling.NEAREST if grows else Image.Resampling.BOX
    whole = Image.fromarray(region.astype(np.uint8) * 255)
    return np.asarray(whole.resize((size[1], size[0]), how)) > 0


def _dilate(region: Mask, steps: int) -> Mask:
    for _ in range(steps):
        padded = np.pad(region, 1)
        up_down = padded[:-2, 1:-1] | padded[2:, 1:-1]
        region = region | up_down | padded[1:-1, :-2] | padded[1:-1, 2:]
    return region


def _erode(region: Mask, steps: int) -> Mask:
    return np.asarray(~_dilate(~np.pad(region, steps), steps))[steps:-steps, steps:-steps]


# ---- Pixels


def _tile(title: str, note: str, alt: str, pixels: Pixels) -> Tile:
    height, width = pixels.shape[:2]
    return Tile(title, note, alt, data_uri(_encode_webp(pixels), "image/webp"), width, height)


def _photo(title: str, note: str, alt: str, image: Pixels, size: Size) -> Tile:
    """A picture without lines; one that is shown larger than it is keeps its own pixels."""
    if image.shape[0] >= size[0]:
        return _tile(title, note, alt, _enlarge(image, size))
    height, width = size
    uri = data_uri(_encode_webp(image), "image/webp")
    return Tile(title, note, alt, uri, width, height, is_enlarged=True)


def _encode_webp(pixels: Pixels) -> bytes:
    out = io.BytesIO()
    # Plain lossy WebP halves the colour resolution, which washes out lines of one or two pixels.
    Image.fromarray(pixels).save(out, "WEBP", quality=84, method=4, use_sharp_yuv=True)
    return out.getvalue()


def _transparent_png(where: Mask, colour: tuple[int, int, int]) -> str:
    """A PNG of one bit: this colour, or nothing."""
    picture = Image.fromarray(where.astype(np.uint8)).convert("P")
    picture.putpalette([0, 0, 0, *colour])
    out = io.BytesIO()
    picture.save(out, "PNG", bits=1, transparency=0, optimize=True)
    return data_uri(out.getvalue(), "image/png")


def _enlarge(image: Pixels, size: Size) -> Pixels:
    grows = size[0] >= image.shape[0]
    how = Image.Resampling.NEAREST if grows else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), how))


def _mute_colours(photo: Pixels) -> Pixels:
    """Most of the colour taken out: an orange line on a red photograph would not be seen."""
    grey = photo.mean(axis=2, keepdims=True)
    return np.asarray(np.rint(0.3 * photo + 0.7 * grey), np.uint8)


def _paint(photo: Pixels, where: Mask, colour: tuple[int, int, int]) -> Pixels:
    painted = photo.copy()
    painted[where] = colour
    return painted
