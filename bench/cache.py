"""Decoded images on disk: written once by the parent, memory-mapped by workers; test masks lie in their own file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from bench import duplicates, geometry, identity
from bench.api import Case, Dataset, RawCase, Record, Spec, TrainView
from bench.errors import BenchError, DataProblem

# On the training grid: train_images, train_masks, test_images. On the native grid: test_native (pictures), test_masks.
PACKS = ("train_images", "train_masks", "test_images", "test_native", "test_masks")


@dataclass(frozen=True)
class Prepared:
    """A dataset ready to use: its folder in the cache and the index that lies in it."""

    folder: Path
    index: dict[str, Any]  # card, spec, data (sha256), train, test and dropped: one entry per case

    @property
    def spec(self) -> Spec:
        return _spec(self.index)


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

    def __init__(self) -> None:
        self.hashes: list[np.uint64] = []
        self.thumbs: list[NDArray[np.float32]] = []

    def add(self, image: NDArray[Any]) -> None:
        self.hashes.append(duplicates.dhash(image))
        self.thumbs.append(duplicates.thumbnail(image))

    def copies(self, train: int) -> dict[int, int]:
        """Positions of training images that nearly equal a test image (protocol R1.6)."""
        hashes, thumbs = np.array(self.hashes), np.stack(self.thumbs)
        return dict(duplicates.near_duplicates(hashes[:train], thumbs[:train], hashes[train:], thumbs[train:]))


def prepare(
    dataset: Dataset,
    train: Sequence[Record],
    test: Sequence[Record],
    size: tuple[int, ...],
    root: Path,
    code: str,
    drop_copies: bool = True,
) -> Prepared:
    """Decode all cases onto the training grid, or find them decoded. Raises DataProblem on the first bad file.

    Training images that nearly equal a test image are left out and listed under `dropped`, if asked.
    """
    traces = [[_trace(record, "train") for record in train], [_trace(record, "test") for record in test]]
    name = identity.digest([asdict(dataset.card), list(size), code, drop_copies, traces])[:16]
    folder = root / dataset.card.id.replace(":", "_") / name
    if not (folder / "index.json").exists():
        _decode_all(dataset, train, test, size, folder, drop_copies)
    return Prepared(folder, json.loads((folder / "index.json").read_text()))


def _trace(record: Record, side: str) -> list[Any]:
    """What tells that a case is still the one that was decoded."""
    files = [path for path in (record.image, *record.masks) if path is not None]
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return [record.id, record.group, record.label, side, stats]


def _decode_all(
    dataset: Dataset,
    train: Sequence[Record],
    test: Sequence[Record],
    size: tuple[int, ...],
    folder: Path,
    drop_copies: bool,
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
        index: dict[str, Any] = {"card": asdict(dataset.card), "spec": _spec_json(dataset, size)}
        looks = _Looks()
        index["train"] = [_write_case(dataset, record, size, "train", writers, looks) for record in train]
        index["test"] = [_write_case(dataset, record, size, "test", writers, looks) for record in test]
        copies = looks.copies(len(train)) if drop_copies else {}
        index["dropped"] = [{"id": train[i].id, "copy_of": test[j].id} for i, j in sorted(copies.items())]
        index["train"] = [case for i, case in enumerate(index["train"]) if i not in copies]
        for writer in writers.values():
            writer.file.close()
        index["data"] = total.hexdigest()
        (part / "index.json").write_text(json.dumps(index, ensure_ascii=False))
        if not (folder / "index.json").exists():
            part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_case(
    dataset: Dataset, record: Record, size: tuple[int, ...], side: str, writers: dict[str, _Writer], looks: _Looks
) -> dict[str, Any]:
    raw = dataset.read(record)
    mask = _checked_mask(raw, record, dataset)
    looks.add(raw.image)
    entry: dict[str, Any] = {
        "id": record.id,
        "group": record.group,
        "label": record.label,
        "spacing": list(raw.spacing) if raw.spacing else None,
        "shape": list(mask.shape),
        "classes": [int(value) for value in np.unique(mask) if value],
        "area": float((mask > 0).mean()),
        f"{side}_images": writers[f"{side}_images"].add(geometry.image_to_grid(raw.image, size)),
    }
    if side == "train":
        entry["train_masks"] = writers["train_masks"].add(geometry.mask_to_grid(mask, size))
    else:
        entry["test_native"] = writers["test_native"].add(raw.image)
        entry["test_masks"] = writers["test_masks"].add(mask)
    return entry


def _checked_mask(raw: RawCase, record: Record, dataset: Dataset) -> NDArray[np.uint8]:
    card = dataset.card
    if raw.image.shape[0] != card.channels or raw.image.ndim != card.ndim + 1:
        raise DataProblem(
            f"case {record.id}: image of shape {raw.image.shape} given; expected {card.channels} channels "
            f"and {card.ndim} dimensions; mend or remove it"
        )
    if raw.mask is None:
        raise DataProblem(f"case {record.id}: no mask given; expected one for every case; add it or remove the case")
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
        ndim=card.ndim,
        channels=card.channels,
        classes=len(card.classes),
        size=size,
        intensity=(0.0, 1.0) if card.ndim == 2 else None,
        normals=card.normals,
    )
    return asdict(spec)


def _spec(index: dict[str, Any]) -> Spec:
    fields = dict(index["spec"])
    fields["size"] = tuple(fields["size"])
    fields["intensity"] = tuple(fields["intensity"]) if fields["intensity"] else None
    return Spec(**fields)


def open_pack(folder: Path, name: str) -> NDArray[np.uint8]:
    """One flat file of the cache, memory-mapped as bytes."""
    file = folder / f"{name}.bin"
    return np.memmap(file, np.uint8, "r") if file.stat().st_size else np.zeros(0, np.uint8)


def take(pack: NDArray[np.uint8], place: dict[str, Any]) -> NDArray[Any]:
    """One array out of a pack."""
    dtype = np.dtype(place["dtype"])
    count = int(np.prod(place["shape"])) * dtype.itemsize
    return pack[place["offset"] : place["offset"] + count].view(dtype).reshape(place["shape"])


class CaseList(Sequence[Case]):
    """Cases decoded from the cache when they are looked at; `hidden` ones have neither mask nor label."""

    def __init__(self, folder: Path, side: str, entries: Sequence[dict[str, Any]], hidden: bool) -> None:
        self.entries, self.side, self.hidden = entries, side, hidden
        self.images = open_pack(folder, f"{side}_images")
        self.masks = None if hidden else open_pack(folder, f"{side}_masks")

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, position: int) -> Case: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Case]: ...
    def __getitem__(self, position: int | slice) -> Case | Sequence[Case]:
        if isinstance(position, slice):
            return [self._case(entry) for entry in self.entries[position]]
        return self._case(self.entries[position])

    def __iter__(self) -> Iterator[Case]:
        return (self._case(entry) for entry in self.entries)

    def _case(self, entry: dict[str, Any]) -> Case:
        mask = None if self.masks is None else take(self.masks, entry[f"{self.side}_masks"]).astype(np.int64)
        return Case(
            id=entry["id"],
            group=entry["group"],
            image=unit_range(take(self.images, entry[f"{self.side}_images"])),
            mask=mask,
            label=None if self.hidden else entry["label"],
            spacing=tuple(entry["spacing"]) if entry["spacing"] else None,
        )


def unit_range(image: NDArray[Any]) -> NDArray[np.float32]:
    """float32; 8-bit values become 0..1."""
    scaled = image.astype(np.float32)
    if image.dtype == np.uint8:
        scaled /= 255
    return scaled


def load_index(folder: Path) -> dict[str, Any]:
    """The index of a prepared dataset."""
    loaded: dict[str, Any] = json.loads((folder / "index.json").read_text())
    return loaded


def train_view(folder: Path, index: dict[str, Any], labelled: frozenset[str]) -> TrainView:
    """What a method may see: cases of the labelled patients in full, the others without mask and label."""
    fit = [case for case in index["train"] if case["group"] in labelled]
    rest = [case for case in index["train"] if case["group"] not in labelled]
    return TrainView(
        fit=CaseList(folder, "train", fit, hidden=False),
        select=(),
        unlabelled=CaseList(folder, "train", rest, hidden=True),
        spec=_spec(index),
    )


def test_images(folder: Path, index: dict[str, Any]) -> CaseList:
    """Test images on the training grid, without masks; opened after `fit` returned."""
    return CaseList(folder, "test", index["test"], hidden=True)


def native(folder: Path, index: dict[str, Any], pack: Literal["test_native", "test_masks"]) -> dict[str, NDArray[Any]]:
    """Test images (C *S) or masks (*S) by case id on the native grid; for scoring and pictures alone."""
    data = open_pack(folder, pack)
    return {case["id"]: take(data, case[pack]) for case in index["test"]}
