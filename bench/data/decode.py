"""Data set -> decoded images on disk: done once by the parent, found again until something changes."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import hashing
from bench.api import Card, Dataset, RawCase, Record, Spec
from bench.data import geometry, near_duplicates
from bench.data.cache import PACKS, DecodedDataset
from bench.data.index import (
    CaseEntry,
    DroppedCase,
    Index,
    StoredArray,
    is_decoded,
    read_index,
    write_index,
)
from bench.errors import BenchError, DataProblem
from bench.records import write_json


class _Writer:
    """Appends arrays to one flat file and remembers where each begins."""

    def __init__(self, folder: Path, name: str, total: hashlib._Hash) -> None:
        self.file = (folder / f"{name}.bin").open("wb")
        self.total = total
        self.offset = 0

    def add(self, array: NDArray[Any]) -> StoredArray:
        array = np.ascontiguousarray(array)
        self.file.write(array.data)
        self.total.update(array.data)
        stored = StoredArray(self.offset, array.shape, array.dtype.name)
        self.offset += array.nbytes
        return stored


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
) -> DecodedDataset:
    """Decode all cases onto the training grid, or find them decoded.

    Training images that nearly equal a test image are left out and listed under `dropped`, if
    asked. Raises DataProblem on the first bad file.
    """
    if len(grid.size) > dataset.card.ndim:
        raise BenchError(
            f"size {list(grid.size)} given; {dataset.card.id} is {dataset.card.ndim}D; "
            "give as many numbers"
        )
    traces = {}
    for side, records in sides.items():
        traces[side] = [_trace(record, side) for record in records]
    name = hashing.digest([asdict(dataset.card), asdict(grid), code, drop_copies, traces])[:16]
    folder = root / dataset.card.id.replace(":", "_") / name
    if not is_decoded(folder):
        _decode_all(dataset, sides, grid, folder, drop_copies)
    return DecodedDataset(folder, read_index(folder))


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
            f"cannot write to {folder.parent} ({problem.strerror}); "
            "give a writable folder with --out"
        ) from None
    try:
        _write_packs(dataset, sides, grid, part, drop_copies)
        if not is_decoded(folder):
            part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_packs(
    dataset: Dataset, sides: Sides, grid: Grid, folder: Path, drop_copies: bool
) -> None:
    """All files of a data set in the cache; the index comes last."""
    total = hashlib.sha256()
    writers = {name: _Writer(folder, name, total) for name in PACKS}
    looks = _Looks(dataset.card.slice_axis)
    entries: dict[str, list[CaseEntry]] = {}
    for side in ("train", "test", "validation"):
        entries[side] = []
        for record in sides.get(side, ()):
            entries[side] += _write_case(dataset, record, grid, side, writers, looks)
    for writer in writers.values():
        writer.file.close()
    # Drawn images are never copies, and slices of volumes look alike by nature.
    whole_cases = dataset.card.ndim == len(grid.size)
    copies: dict[int, int] = {}
    if drop_copies and whole_cases and not dataset.card.synthetic:
        copies = looks.copies(len(entries["train"]))
    dropped = []
    for train, test in sorted(copies.items()):
        dropped.append(DroppedCase(entries["train"][train].id, entries["test"][test].id))
    # The labels of test cases are taken out of what a worker reads: scoring alone opens their file.
    labels = {entry.id: entry.label for entry in entries["test"]}
    kept = [entry for place, entry in enumerate(entries["train"]) if place not in copies]
    index = Index(
        card=dataset.card,
        spec=_segmentation_spec(dataset, grid.size),
        data="",
        train=kept,
        test=[replace(entry, label=None) for entry in entries["test"]],
        validation=entries["validation"],
        dropped=dropped,
    )
    write_json(folder / "test_labels.json", labels)
    write_index(folder, replace(index, data=_content_hash(index, labels, total.hexdigest())))


def _content_hash(index: Index, labels: Mapping[str, int | None], packs: str) -> str:
    """sha256 of all that was decoded, and of what it was decoded as."""
    described: list[Any] = [labels, asdict(index.spec)]
    for side in (index.train, index.test, index.validation):
        described.append([asdict(entry) for entry in side])
    return hashing.digest([packs, described])


def _write_case(
    dataset: Dataset,
    record: Record,
    grid: Grid,
    side: str,
    writers: dict[str, _Writer],
    looks: _Looks,
) -> list[CaseEntry]:
    """Entries of one record: one, or where volumes are trained on in slices, one a training slice."""
    raw = dataset.read(record)
    card = dataset.card
    mask = _checked_mask(raw, record, card, grid.size)
    if side != "validation":
        looks.add(raw.image)
    sliced = raw.image.ndim == 4 and len(grid.size) == 2
    names = [record.id]
    images = [raw.image]
    masks = [mask]
    if sliced:
        images = list(geometry.image_slices(raw.image, card.slice_axis))
        masks = list(geometry.mask_slices(mask, card.slice_axis))
        names = [f"{record.id}_s{number:03d}" for number in range(len(images))]
    on_grid = [_on_grid(image, grid, card) for image in images]
    if side != "train":
        stored = writers["test_images"].add(np.stack(on_grid))  # (1 C *S), or the slices (D C H W)
        native = writers["test_native"].add(raw.image)
        stored_mask = writers["test_masks"].add(mask)
        entry = _entry(record, record.id, raw, mask, card, stored, stored_mask)
        axis = card.slice_axis if sliced else None
        return [replace(entry, native=native, slice_axis=axis)]
    entries = []
    for name, image, part in zip(names, on_grid, masks, strict=True):
        stored = writers["train_images"].add(image)
        stored_mask = writers["train_masks"].add(_mask_on_grid(part, grid))
        entries.append(_entry(record, name, raw, part, card, stored, stored_mask))
    return entries


def _on_grid(image: NDArray[Any], grid: Grid, card: Card) -> NDArray[Any]:
    """An image (C H W) at the grid's size; a volume z-scored, unless it is stored so, and shrunk."""
    if image.ndim == 3:
        return geometry.image_to_grid(geometry.to_unit(image), grid.size)
    values = image.astype(np.float32) if card.normalised else geometry.zscore(image)
    return geometry.shrink_image(values, grid.shrink)


def _mask_on_grid(mask: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    if mask.ndim == 2:
        return geometry.mask_to_grid(mask, grid.size)
    return geometry.shrink_mask(mask, grid.shrink)


def _entry(
    record: Record,
    name: str,
    raw: RawCase,
    mask: NDArray[np.uint8],
    card: Card,
    images: StoredArray,
    masks: StoredArray,
) -> CaseEntry:
    plane = float(mask.size)
    if mask.ndim == 3:
        plane /= mask.shape[card.slice_axis]
    return CaseEntry(
        id=name,
        record=record.id,
        group=record.group,
        label=record.label,
        spacing=tuple(raw.spacing) if raw.spacing else None,
        shape=mask.shape,
        classes=tuple(int(value) for value in np.unique(mask) if value),
        area=float((mask > 0).sum() / plane),
        images=images,
        masks=masks,
    )


def _checked_mask(
    raw: RawCase, record: Record, card: Card, size: tuple[int, ...]
) -> NDArray[np.uint8]:
    single_slice = card.ndim == 3 and raw.image.ndim == 3 and len(size) == 2
    if raw.image.shape[0] != card.channels or (
        raw.image.ndim != card.ndim + 1 and not single_slice
    ):
        raise DataProblem(
            f"case {record.id}: image of shape {raw.image.shape} given; expected {card.channels} channels "
            f"and {card.ndim} dimensions; fix or remove it"
        )
    if raw.mask is None:
        raise DataProblem(
            f"case {record.id}: no mask given; expected one for every case; add it or remove the case"
        )
    if raw.mask.max(initial=0) >= len(card.classes):
        raise DataProblem(
            f"case {record.id}: mask value {raw.mask.max()} given; expected 0 to {len(card.classes) - 1} "
            f"({', '.join(card.classes)}); fix the mask or name the class"
        )
    return raw.mask


def _segmentation_spec(dataset: Dataset, size: tuple[int, ...]) -> Spec:
    card = dataset.card
    return Spec(
        task="segmentation",
        ndim=len(size),
        channels=card.channels,
        classes=len(card.classes),
        size=size,
        intensity=(0.0, 1.0) if len(size) == 2 else None,
        normals=card.normals,
    )
