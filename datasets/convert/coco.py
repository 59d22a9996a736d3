"""COCO: polygons and run lengths of objects in a json file become masks of class numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError, DataProblem, cut
from datasets.convert.targets import Asked, Converted, PictureTarget, classes_from, part_of
from datasets.readers.pairing import first_names, name_of, normal_name

MOST_PIXELS = 2**28


@dataclass(frozen=True, slots=True)
class _Coco:
    """The content of a file, as far as it is used."""

    path: Path
    images: Sequence[Mapping[str, Any]]
    objects: Mapping[Any, Sequence[Mapping[str, Any]]]  # by the id of the image
    numbers: Mapping[Any, int]  # class number by the id of the category
    names: tuple[str, ...]


def convert_coco(asked: Asked) -> Converted:
    """Write the images of a COCO file with masks. Raises BenchError."""
    coco = _read_coco(asked.source)
    classes = classes_from(coco.names, asked.classes, coco.path)
    files = _find_images(coco)
    contested = 0
    in_several = 0
    unseen = 0
    with part_of(asked) as root:
        target = PictureTarget(root, asked.form, asked.target.name, classes)
        for image in coco.images:
            mask, shared, lost = _mask_of(coco, image)
            unseen += lost
            contested += shared
            in_several += shared > 0
            path = files[image["id"]]
            target.add(name_of(path), path, mask)
        target.finish()
    notes: tuple[str, ...] = ()
    if unseen:
        notes = (f"{unseen} objects hold no pixel of their image; they are left out",)
    if contested:
        notes += (
            f"{contested} pixels of {in_several} images lie in objects of two classes; they have "
            "that of the smaller object",
        )
    return Converted(len(coco.images), classes, notes)


def _read_coco(source: Path) -> _Coco:
    """The one COCO file of a folder. Raises DataProblem on anything else."""
    path = _find_json(source)
    try:
        given = json.loads(path.read_text(encoding="utf-8-sig"))
        images = [dict(image) for image in given["images"]]
        for image in images:
            pixels = int(image["height"]) * int(image["width"])
            if not 0 < pixels <= MOST_PIXELS:
                raise ValueError(f"an image of {pixels} pixels: {image['file_name']}")
        categories = sorted(given["categories"], key=lambda one: one["id"])
        names = tuple(normal_name(str(one["name"])) for one in categories)
        numbers = {one["id"]: number for number, one in enumerate(categories, 1)}
        if len(numbers) != len(categories):
            raise ValueError("two categories of one id")
        objects = _by_image(path, images, numbers, given["annotations"])
    except DataProblem:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as problem:
        raise DataProblem(
            f"{path}: no COCO file ({type(problem).__name__}: {cut(str(problem))}); expected "
            "images, annotations and categories; export it again"
        ) from None
    if not images or len(objects) != len(images):
        raise DataProblem(f"{path}: no images, or two of one id; export it again")
    return _Coco(path, images, objects, numbers, names)


def _find_json(source: Path) -> Path:
    """The json file that is given, or the one in a folder. Raises DataProblem on several."""
    if not source.is_dir():
        return source
    paths = [path for path in sorted(source.rglob("*.json")) if path.name[0] != "."]
    if len(paths) != 1:
        raise DataProblem(
            f"{source}: {len(paths)} json files ({first_names([one.name for one in paths])}); "
            "expected one; name the file itself in place of the folder"
        )
    return paths[0]


def _by_image(
    path: Path,
    images: Sequence[Mapping[str, Any]],
    numbers: Mapping[Any, int],
    annotations: Sequence[Mapping[str, Any]],
) -> dict[Any, list[Mapping[str, Any]]]:
    """The annotations of each image. Raises DataProblem on one of no image or no category."""
    objects: dict[Any, list[Mapping[str, Any]]] = {image["id"]: [] for image in images}
    for annotation in annotations:
        category = annotation["category_id"]
        image = annotation["image_id"]
        if category not in numbers or image not in objects:
            raise DataProblem(
                f"{path}: annotation {annotation.get('id')} of image {image} and category "
                f"{category}; expected ones that the file lists; export it again"
            )
        objects[image].append(annotation)
    return objects


def _find_images(coco: _Coco) -> dict[Any, Path]:
    """The file of each image by its id. Raises DataProblem on those that are missing."""
    folder = coco.path.parent
    roots = [folder, folder / "images", folder.parent, folder.parent / "images"]
    files = {}
    missing = []
    for image in coco.images:
        name = str(image["file_name"]).replace("\\", "/")
        is_inside = not name.startswith("/") and ".." not in name.split("/")
        places = [root / name for root in roots if is_inside and (root / name).is_file()]
        if places:
            files[image["id"]] = places[0]
        else:
            missing.append(name)
    if missing:
        raise DataProblem(
            f"{coco.path}: {len(missing)} images are not there ({first_names(missing)}); expected "
            "them beside the file or in images/; copy them there"
        )
    return files


def _mask_of(coco: _Coco, image: Mapping[str, Any]) -> tuple[NDArray[np.uint8], int, int]:
    """The class numbers (H W) of an image, and how many pixels lie in objects of two classes.

    Small objects lie on large ones. The last number is that of objects without a pixel.
    """
    shape = (int(image["height"]), int(image["width"]))
    regions = []
    for annotation in coco.objects[image["id"]]:
        region = _region_of(coco.path, annotation, shape)
        regions.append((coco.numbers[annotation["category_id"]], region))
    mask = np.zeros(shape, np.uint8)
    contested = np.zeros(shape, bool)
    for number, region in sorted(regions, key=lambda one: -int(one[1].sum())):
        contested |= region & (mask > 0) & (mask != number)
        mask[region] = number
    unseen = sum(1 for _, region in regions if not region.any())
    return mask, int(contested.sum()), unseen


def _region_of(
    path: Path, annotation: Mapping[str, Any], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """The pixels (H W) of an object. Raises DataProblem on an outline that is none."""
    try:
        from pycocotools import mask as run_lengths
    except ImportError:
        raise BenchError(
            f"{path}: COCO needs the package pycocotools; install it with "
            "pip install -e '.[convert]' in the folder of ScarceBench"
        ) from None
    outline: Any = annotation.get("segmentation")
    height, width = shape
    try:
        if isinstance(outline, dict) and list(outline["size"]) != [height, width]:
            raise ValueError(f"size {outline['size']} in an image of {[height, width]}")
        _refuse_odd_outline(outline, height, width)
        encoded = outline
        if isinstance(outline, list) or isinstance(outline["counts"], list):
            encoded = run_lengths.frPyObjects(outline, height, width)
        if isinstance(encoded, list):
            encoded = run_lengths.merge(encoded)
        return np.asarray(run_lengths.decode(encoded)).astype(bool)
    except Exception as problem:
        raise DataProblem(
            f"{path}: annotation {annotation.get('id')}: no outline ({cut(str(problem))}); "
            "expected polygons or run lengths; boxes alone are no masks"
        ) from None


def _refuse_odd_outline(outline: Any, height: int, width: int) -> None:
    """Raise ValueError on numbers that the C code of pycocotools does not check.

    A coordinate that is not finite keeps it busy for ever.
    """
    if isinstance(outline, dict):
        counts = outline["counts"]
        if isinstance(counts, str):
            counts = _unpacked(counts)
        if not all(type(count) is int for count in counts):
            raise ValueError("run lengths that are no whole numbers")
        if min(counts, default=0) < 0 or sum(counts) != height * width:
            raise ValueError(f"run lengths for {sum(counts)} of {height * width} pixels")
        return
    if not outline:
        raise ValueError("an empty outline")
    if all(_is_outside(polygon, height, width) for polygon in outline):
        raise ValueError("all of it lies outside of the image")
    limit = 2 * max(height, width)
    for polygon in outline:
        coordinates = np.asarray(polygon, np.float64)
        is_near = np.isfinite(coordinates).all() and abs(coordinates).max(initial=0) <= limit
        if coordinates.ndim != 1 or len(coordinates) < 6 or len(coordinates) % 2 or not is_near:
            raise ValueError("a polygon of fewer than three points, or far outside of the image")


def _is_outside(polygon: Any, height: int, width: int) -> bool:
    """Whether a polygon (x1 y1 x2 y2 ...) lies on one side of an image."""
    x = np.asarray(polygon[0::2], np.float64)
    y = np.asarray(polygon[1::2], np.float64)
    if not x.size or not y.size:
        return False
    return bool(x.max() <= 0 or y.max() <= 0 or x.min() >= width or y.min() >= height)


def _unpacked(text: str) -> list[int]:
    """Run lengths as COCO packs them: 5 bits a character, from the third on as differences.

    pycocotools does the same without a look at their sum, and shows memory of others beyond it.
    """
    counts: list[int] = []
    value = 0
    shift = 0
    for sign in text:
        bits = ord(sign) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"run lengths with the character {sign!r}")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        if len(counts) > 2:
            value += counts[-2]
        counts.append(value)
        value = 0
        shift = 0
    if shift:
        raise ValueError("run lengths that end in the middle of a number")
    return counts
