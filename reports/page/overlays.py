"""Test cases as pictures: the image, the reference in blue, each method's prediction in orange."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.board import Panel, Sheet
from reports.formats.csv_json import data_uri

SIDE = 256  # display pixels of the longer side at most
BLUE, ORANGE = (86, 180, 255), (255, 140, 0)  # told apart by every common kind of colour vision
THICK = 2  # display pixels of an outline
HATCH = 6  # display pixels from one line of a hatched area to the next
LINES = ("solid", "dashed", "dotted")
RULES = {
    "worst": "the lowest Dice of {judge}",
    "median": "the median Dice of {judge}",
    "best": "the highest Dice of {judge}",
    "largest disagreement": "the largest difference in Dice between the methods",
}

Mask = NDArray[np.bool_]
Map = NDArray[np.uint8]


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
    layers: tuple[
        Layer, ...
    ] = ()  # the reference first: all tiles of a case share it, and the picture below


WITHHELD = Tile(
    "Picture left out",
    "the licence of the data does not allow it to be passed on",
    "Picture left out",
    None,
    SIDE,
    SIDE,
)


def tiles(panel: Panel) -> list[Tile]:
    """The image, the reference, then each prediction with the reference beside it."""
    if panel.image is None or panel.reference is None:
        return [WITHHELD]
    size = display_size(panel.image.shape[0], panel.image.shape[1])
    photo = _enlarge(panel.image, size)
    reference = Layer("reference", _drawing(_rings(panel.reference, size, inside=False), BLUE))
    name = f"Test case {panel.case}"
    shared = replace(
        _tile("Reference", "", f"{name}, reference outlined in blue", _calm(photo)),
        layers=(reference,),
    )
    predicted = [
        _predicted(name, shared, panel.reference, *prediction) for prediction in panel.predictions
    ]
    return [_tile("Image", "", f"{name}, image alone", photo), shared, *predicted]


def sheet_tiles(sheet: Sheet) -> list[tuple[Tile, ...]]:
    """Each synthetic image, the same with its mask outlined, and its nearest training image."""
    if sheet.images is None or sheet.nearest is None:
        return [(WITHHELD,)]
    size = display_size(*sheet.images.shape[1:3])
    rows: list[tuple[Tile, ...]] = []
    if sheet.normals is not None:
        return _normal_tiles(sheet, size)
    for number, image in enumerate(sheet.images):
        photo, name = _enlarge(image, size), f"Synthetic image {number + 1} of {sheet.label}"
        made: tuple[Tile, ...] = (_tile("Synthetic", sheet.kinds[number], name, photo),)
        if sheet.masks is not None:
            outlined = _paint(_calm(photo), _rings(sheet.masks[number], size, inside=True), ORANGE)
            made += (_tile("With its mask", "", f"{name}, mask in orange", outlined),)
        if sheet.words:
            near = _enlarge(sheet.nearest[number], size)
            made += (
                _tile(
                    "Nearest training image",
                    sheet.words[number],
                    f"Training image nearest to {name}",
                    near,
                ),
            )
        rows.append(made)
    return rows


def _normal_tiles(sheet: Sheet, size: tuple[int, int]) -> list[tuple[Tile, ...]]:
    """Each test image, what it became, the difference (grey: none, five times as strong), and the true mask."""
    assert sheet.normals is not None and sheet.masks is not None and sheet.images is not None
    rows: list[tuple[Tile, ...]] = []
    for number, (before, after) in enumerate(zip(sheet.images, sheet.normals, strict=True)):
        photo, name = _enlarge(before, size), f"{sheet.kinds[number]}, {sheet.label}"
        change = np.clip(128 + 5 * (after.astype(int) - before), 0, 255).astype(np.uint8)
        outlined = _paint(_calm(photo), _rings(sheet.masks[number], size, inside=False), BLUE)
        rows.append((
            _tile("Test image", sheet.kinds[number], f"{name}: test image", photo),
            _tile("Pseudo-normal", sheet.words[number], f"{name}: pseudo-normal image", _enlarge(after, size)),
            _tile("Difference, five times", "", f"{name}: difference", _enlarge(change, size)),
            _tile("Reference", "", f"{name}: lesion outlined in blue", outlined),
        ))  # fmt: skip
    return rows


def display_size(height: int, width: int) -> tuple[int, int]:
    """Small images grow by a whole factor, so that every pixel stays a square; large ones shrink."""
    longer = max(height, width)
    if longer <= SIDE:
        factor = SIDE // longer
        return height * factor, width * factor
    return max(1, round(height * SIDE / longer)), max(1, round(width * SIDE / longer))


def rule_text(rule: str, judge: str) -> str:
    """Why a case was picked, in words."""
    return RULES.get(rule, rule).format(judge=judge)


def line_names(classes: Sequence[str]) -> list[tuple[str, str]]:
    """(line, class) for the legend; the background has no line."""
    return [(LINES[number % len(LINES)], name) for number, name in enumerate(classes[1:])]


def _predicted(
    name: str, shared: Tile, reference: Map, label: str, dice: float | None, prediction: Map | None
) -> Tile:
    note = "Dice n/a" if dice is None else f"Dice {dice:.3f}"
    if prediction is None:
        return replace(
            shared,
            title=label,
            note=note,
            alt=f"{name}, {label}: no prediction",
            uri=None,
            layers=(),
        )
    empty = "" if prediction.any() else ", the prediction is empty"
    alt = f"{name}, prediction of {label} in orange over the reference in blue, {note}{empty}"
    layers = (*shared.layers, *_layers(prediction, reference, (shared.height, shared.width)))
    return replace(
        shared,
        title=label,
        note=note + empty.replace(", the prediction is", ","),
        alt=alt,
        layers=layers,
    )


def _layers(prediction: Map, reference: Map, size: tuple[int, int]) -> Iterator[Layer]:
    """The outline of a prediction, and what it has too much and too little, hatched in the two directions."""
    y, x = np.indices(size)
    wrong = prediction != reference
    yield Layer("prediction", _drawing(_rings(prediction, size, inside=True), ORANGE))
    for kind, where, colour, along in (
        ("fp", wrong & (prediction > 0), ORANGE, x + y),
        ("fn", wrong & (reference > 0), BLUE, x - y),
    ):
        if where.any():
            yield Layer(
                kind, _drawing(_grow_mask(where, size) & (along % HATCH < HATCH // 2), colour)
            )


def _drawing(where: Mask, colour: tuple[int, int, int]) -> str:
    """A PNG of one bit: this colour, or nothing."""
    picture = Image.fromarray(where.astype(np.uint8)).convert("P")
    picture.putpalette([0, 0, 0, *colour])
    out = io.BytesIO()
    picture.save(out, "PNG", bits=1, transparency=0, optimize=True)
    return data_uri(out.getvalue(), "image/png")


def _tile(title: str, note: str, alt: str, pixels: Map) -> Tile:
    height, width = pixels.shape[:2]
    return Tile(title, note, alt, data_uri(_webp(pixels), "image/webp"), width, height)


def _webp(pixels: Map) -> bytes:
    out = io.BytesIO()
    # Plain lossy WebP halves the colour resolution, which washes out lines of one or two pixels.
    Image.fromarray(pixels).save(out, "WEBP", quality=84, method=4, use_sharp_yuv=True)
    return out.getvalue()


def _enlarge(image: Map, size: tuple[int, int]) -> Map:
    grows = size[0] >= image.shape[0]
    how = Image.Resampling.NEAREST if grows else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), how))


def _rings(label_map: Map, size: tuple[int, int], inside: bool) -> Mask:
    """Outlines of every class. One kind lies outside its region, the other inside: equal masks show both."""
    rings = np.zeros(size, bool)
    for number in np.unique(label_map[label_map > 0]):
        region = _grow_mask(label_map == number, size)
        ring = region & ~_erode(region, THICK) if inside else _dilate(region, THICK) & ~region
        rings |= ring & _dashes(size, int(number) - 1)
    return rings


def _grow_mask(region: Mask, size: tuple[int, int]) -> Mask:
    """On the display grid; shrinking keeps regions that are smaller than a display pixel."""
    how = Image.Resampling.NEAREST if size[0] >= region.shape[0] else Image.Resampling.BOX
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


def _dashes(size: tuple[int, int], number: int) -> Mask:
    """Where the line of a class is drawn: everywhere, in dashes, in dots."""
    period, drawn = ((1, 1), (12, 8), (6, 3))[number % len(LINES)]
    y, x = np.indices(size)
    return np.asarray((x + 2 * y) % period < drawn)


def _calm(photo: Map) -> Map:
    """Most of the colour taken out: an orange line on a red photograph would not be seen."""
    grey = photo.mean(axis=2, keepdims=True)
    return np.asarray(np.rint(0.3 * photo + 0.7 * grey), np.uint8)


def _paint(photo: Map, where: Mask, colour: tuple[int, int, int]) -> Map:
    painted = photo.copy()
    painted[where] = colour
    return painted
