"""Dataset -> decoded images on disk: done once by the parent, found again until something changes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import hashing
from bench.api import Card, Dataset, RawCase, Record, Spec
from bench.data import geometry, near_duplicates
from bench.data.cache import PACKS, Prepared
from bench.errors import BenchError, DataProblem


class _Writer:
    """Appends arrays to one flat file and remembers where each begins."""

    def __init__(self, folder: Path, name: str, total: Any) -> None:
        self.file = (folder / f"{name}.bin").open("wb")
        self.total = total
        self.offset = 0

    def add(self, array: NDArray[Any]) -> dict[str, Any]:
        array = np.ascontiguousarray(array)
        self.file.write(array.data)
        self.total.update(array)
        place = {"offset": self.offset, "shape": list(array.shape), "dtype": array.dtype.name}
        self.offset += array.nbytes
        return place


class _Looks:
    """What tells near-copies among the images, in the order they are written: training first."""

    def __init__(self, slice_axis: int) -> None:
        self.slice_axis = slice_axis
        self.hashes: list[np.uint64] = []
        self.thumbs: list[NDArray[np.float32]] = []

    def add(self, image: NDArray[Any]) -> None:
        self.hashes.append(near_duplicates.dhash(image, self.slice_axis))
        self.thumbs.append(near_duplicates.thumbnail(image, self.slice_axis))

    def copies(self, train: int) -> dict[int, int]:
        """Positions of training images that nearly equal a test image (protocol R1.6)."""
        hashes, thumbs = np.array(self.hashes), np.stack(self.thumbs)
        return dict(
            near_duplicates.near_duplicates(
                hashes[:train], thumbs[:train], hashes[train:], thumbs[train:]
            )
        )


@dataclass(frozen=True, slots=True)
class Grid:
    """The training grid: images of `size`; or volumes, shrunk by `shrink` along each axis, as patches of `size`."""

    size: tuple[int, ...]
    shrink: tuple[int, ...] = ()


Sides = Mapping[str, Sequence[Record]]  # train and test, and validation where a suite selects on it


def prepare(
    dataset: Dataset, sides: Sides, grid: Grid, root: Path, code: str, drop_copies: bool = True
) -> Prepared:
    """Decode all cases onto the training grid, or find them decoded. Raises DataProblem on the first bad file.

    Training images that nearly equal a test image are left out and listed under `dropped`, if asked.
    """
    if len(grid.size) > dataset.card.ndim:
        raise BenchError(
            f"size {list(grid.size)} given; {dataset.card.id} is {dataset.card.ndim}D; give as many numbers"
        )
    traces = {side: [_trace(record, side) for record in records] for side, records in sides.items()}
    name = hashing.digest([asdict(dataset.card), asdict(grid), code, drop_copies, traces])[:16]
    folder = root / dataset.card.id.replace(":", "_") / name
    if not (folder / "index.json").exists():
        _decode_all(dataset, sides, grid, folder, drop_copies)
    return Prepared(folder, json.loads((folder / "index.json").read_text()))


def _trace(record: Record, side: str) -> list[Any]:
    """What tells that a case is still the one that was decoded."""
    files = [path for path in (record.image, *record.channels, *record.masks) if path is not None]
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return [record.id, record.group, record.label, side, stats]


def _decode_all(
    dataset: Dataset, sides: Sides, grid: Grid, folder: Path, drop_copies: bool
) -> None:
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise BenchError(
            f"cannot write to {folder.parent} ({problem.strerror}); give a writable folder with --out"
        ) from None
    try:
        total = hashlib.sha256()
        writers = {name: _Writer(part, name, total) for name in PACKS}
        index: dict[str, Any] = {
            "card": asdict(dataset.card),
            "spec": _spec_json(dataset, grid.size),
        }
        looks = _Looks(dataset.card.slice_axis)
        for side in ("train", "test", "validation"):
            records = sides.get(side, ())
            index[side] = [
                e for r in records for e in _write_case(dataset, r, grid, side, writers, looks)
            ]
        # Drawn images are never copies, and slices of volumes look alike by nature.
        look_for = (
            drop_copies and not dataset.card.synthetic and dataset.card.ndim == len(grid.size)
        )
        copies = looks.copies(len(index["train"])) if look_for else {}
        dropped = [
            (index["train"][i]["id"], index["test"][j]["id"]) for i, j in sorted(copies.items())
        ]
        index["dropped"] = [{"id": case, "copy_of": other} for case, other in dropped]
        index["train"] = [case for i, case in enumerate(index["train"]) if i not in copies]
        for writer in writers.values():
            writer.file.close()
        labels = _take_labels(index["test"])
        (part / "test_labels.json").write_text(json.dumps(labels))
        described = [labels, *(index[name] for name in ("spec", "train", "test", "validation"))]
        index["data"] = hashing.digest([total.hexdigest(), *described])
        (part / "index.json").write_text(json.dumps(index, ensure_ascii=False))
        if not (folder / "index.json").exists():
            part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _take_labels(entries: Sequence[dict[str, Any]]) -> dict[str, int | None]:
    """The labels of test cases, taken out of what a worker reads: scoring alone opens their file."""
    return {entry["id"]: entry.pop("label") for entry in entries}


def _write_case(
    dataset: Dataset,
    record: Record,
    grid: Grid,
    side: str,
    writers: dict[str, _Writer],
    looks: _Looks,
) -> list[dict[str, Any]]:
    """Index entries of one record: one, or where volumes are trained on in slices, one for each training slice."""
    raw, card = dataset.read(record), dataset.card
    mask = _checked_mask(raw, record, card, grid.size)
    if side != "validation":
        looks.add(raw.image)
    sliced = raw.image.ndim == 4 and len(grid.size) == 2
    planes = [(record.id, raw.image, mask)]
    if sliced:
        images, masks = (
            geometry.image_slices(raw.image, card.slice_axis),
            geometry.mask_slices(mask, card.slice_axis),
        )
        names = [f"{record.id}_s{k:03d}" for k in range(len(images))]
        planes = list(zip(names, images, masks, strict=True))
    on_grid = [_on_grid(image, grid, card) for _, image, _ in planes]
    if side != "train":
        places = {
            "test_images": writers["test_images"].add(
                np.stack(on_grid)
            ),  # (1 C *S), or the slices (D C H W)
            "test_native": writers["test_native"].add(raw.image),
            "test_masks": writers["test_masks"].add(mask),
        }
        axis = card.slice_axis if sliced else None
        return [{**_entry(record, record.id, raw, mask, card), "slice_axis": axis, **places}]
    return [
        {
            **_entry(record, name, raw, part, card),
            "train_images": writers["train_images"].add(image),
            "train_masks": writers["train_masks"].add(_mask_on_grid(part, grid)),
        }
        for (name, _, part), image in zip(planes, on_grid, strict=True)
    ]


def _on_grid(image: NDArray[Any], grid: Grid, card: Card) -> NDArray[Any]:
    """An image (C H W) at the grid's size; a volume z-scored, unless it is stored so, and shrunk."""
    if image.ndim == 3:
        return geometry.image_to_grid(geometry.to_unit(image), grid.size)
    values = image.astype(np.float32) if card.normalised else geometry.zscore(image)
    return geometry.shrink_image(values, grid.shrink)


def _mask_on_grid(mask: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    return (
        geometry.mask_to_grid(mask, grid.size)
        if mask.ndim == 2
        else geometry.shrink_mask(mask, grid.shrink)
    )


def _entry(
    record: Record, name: str, raw: RawCase, mask: NDArray[np.uint8], card: Card
) -> dict[str, Any]:
    plane = mask.size if mask.ndim == 2 else mask.size / mask.shape[card.slice_axis]
    return {
        "id": name,
        "record": record.id,
        "group": record.group,
        "label": record.label,
        "spacing": list(raw.spacing) if raw.spacing else None,
        "shape": list(mask.shape),
        "classes": [int(value) for value in np.unique(mask) if value],
        "area": float((mask > 0).sum() / plane),  # in slices: of a volume the sum over its slices
    }


def _checked_mask(
    raw: RawCase, record: Record, card: Card, size: tuple[int, ...]
) -> NDArray[np.uint8]:
    single_slice = card.ndim == 3 and raw.image.ndim == 3 and len(size) == 2
    if raw.image.shape[0] != card.channels or (
        raw.image.ndim != card.ndim + 1 and not single_slice
    ):
        raise DataProblem(
            f"case {record.id}: image of shape {raw.image.shape} given; expected {card.channels} channels "
            f"and {card.ndim} dimensions; mend or remove it"
        )
    if raw.mask is None:
        raise DataProblem(
            f"case {record.id}: no mask given; expected one for every case; add it or remove the case"
        )
    if raw.mask.max(initial=0) >= len(card.classes):
        raise DataProblem(
            f"case {record.id}: mask value {raw.mask.max()} given; expected 0 to {len(card.classes) - 1} "
            f"({', '.join(card.classes)}); mend the mask or name the class"
        )
    return raw.mask


def _spec_json(dataset: Dataset, size: tuple[int, ...]) -> dict[str, Any]:
    card = dataset.card
    spec = Spec(
        task="segmentation",
        ndim=len(size),
        channels=card.channels,
        classes=len(card.classes),
        size=size,
        intensity=(0.0, 1.0) if len(size) == 2 else None,
        normals=card.normals,
    )
    return asdict(spec)
