"""Decodes a data set into files on disk, once, until the data or the code that reads it change."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import hashing
from bench.api import Dataset, Record, Spec
from bench.data import near_duplicates
from bench.data.cache import PACKS, TEST_LABELS, DecodedDataset, decoded_files
from bench.data.decoded_case import Grid, read_case_on_grid
from bench.data.index import (
    CaseEntry,
    DroppedCase,
    Index,
    is_decoded,
    read_index,
    write_index,
)
from bench.data.near_duplicates import SIDE
from bench.data.pack_writer import PackWriter
from bench.data.regions import check_regions
from bench.errors import BenchError, DataProblem
from bench.files.digests import Digests, digest_of, write_digests
from bench.files.records import CHANGED, write_json

log = logging.getLogger("bench.data.decode")
PART = ".part"  # the end of the name of a folder that is not complete


def _find_copies(
    dataset: Dataset, sides: Sides, thumbs: Mapping[str, Sequence[NDArray[np.float32]]]
) -> list[DroppedCase]:
    """The training cases that nearly equal a test case, in list order (protocol R1.6)."""
    train = np.array(thumbs["train"], np.float32).reshape(-1, SIDE, SIDE)
    test = np.array(thumbs["test"], np.float32).reshape(-1, SIDE, SIDE)
    pairs = near_duplicates.alike_in_the_gross(train, test)
    pairs = near_duplicates.alike_in_outline(pairs, train, test)

    def read_train(position: int) -> NDArray[Any]:
        return dataset.read(sides["train"][position]).image

    def read_test(position: int) -> NDArray[Any]:
        return dataset.read(sides["test"][position]).image

    copies = dict(near_duplicates.confirmed(pairs, read_train, read_test))
    dropped = []
    for copy, original in sorted(copies.items()):
        dropped.append(DroppedCase(sides["train"][copy].id, sides["test"][original].id))
    return dropped


Sides = Mapping[str, Sequence[Record]]  # train, test, and validation if a suite selects on it


def prepare(
    dataset: Dataset, sides: Sides, grid: Grid, root: Path, code: str, drop_copies: bool = True
) -> DecodedDataset:
    """Decode all cases onto the training grid, unless that was done before.

    With `drop_copies`, training images that nearly equal a test image are left out and listed
    under `dropped`. Raises DataProblem for the first file that cannot be used.
    """
    if len(grid.size) > dataset.card.ndim:
        raise BenchError(
            f"size {list(grid.size)} given; {dataset.card.id} is {dataset.card.ndim}D; "
            "give as many numbers"
        )
    check_regions(dataset.card)
    traces = {}
    for side, records in sides.items():
        traces[side] = [_trace(record, side) for record in records]
    # The rules of this folder decide what is written as much as those of the loader do.
    codes = [code, hashing.code_hash([Path(__file__).parent])]
    name = hashing.digest([asdict(dataset.card), asdict(grid), codes, drop_copies, traces])[:16]
    folder = root / dataset.card.id.replace(":", "_") / name
    index = _whole_index(folder)
    if index is None:
        _decode_all(dataset, sides, grid, folder, drop_copies)
        index = read_index(folder)
    return DecodedDataset(folder, index)


def _whole_index(folder: Path) -> Index | None:
    """The index of a data set that was decoded before; None where any of its files is damaged."""
    if not is_decoded(folder):
        return None
    try:
        changed = decoded_files(folder).changed()
        if changed:
            raise BenchError(f"{changed[0]} {CHANGED}")
        return read_index(folder)
    except BenchError as problem:
        log.warning("%s: the images are decoded again", str(problem).partition(";")[0])
        return None


def _trace(record: Record, side: str) -> list[Any]:
    """What changes when a case is no longer the one that was decoded."""
    files = [path for path in (record.image, *record.channels, *record.masks) if path is not None]
    states = [_file_state(path) for path in files]
    return [record.id, record.group, record.label, side, states]


def _file_state(path: Path) -> tuple[str, int, int]:
    """Path, size and time of change of a file. Raises DataProblem where there is none."""
    try:
        state = path.stat()
    except OSError as problem:
        raise DataProblem(
            f"{path}: cannot be read ({problem.strerror}); expected a file; copy it again"
        ) from None
    return str(path), state.st_size, state.st_mtime_ns


def _decode_all(
    dataset: Dataset, sides: Sides, grid: Grid, folder: Path, drop_copies: bool
) -> None:
    part = folder.with_name(f"{folder.name}.{os.getpid()}{PART}")
    try:
        part.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent, part)
    except OSError as problem:
        raise BenchError(
            f"cannot write to {folder.parent} ({problem.strerror}); "
            "give a writable folder with --out"
        ) from None
    try:
        with _held(part):
            _write_packs(dataset, sides, grid, part, drop_copies)
        if _whole_index(folder) is None:
            _replace_folder(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _held(part: Path) -> Iterator[None]:
    """Hold the lock of an unfinished folder, which the kernel releases however a process ends."""
    held = os.open(part, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(held)


def _sweep(parent: Path, own: Path) -> None:
    """Remove what launches left behind that were killed while they decoded."""
    for part in parent.glob(f"*{PART}*"):
        if part == own or _is_running(part.name):
            continue
        with suppress(OSError), _held(part):  # another machine may hold it
            shutil.rmtree(part)


def _is_running(name: str) -> bool:
    """Whether the process that an unfinished folder is named after runs on this machine."""
    number = name.partition(PART)[0].rpartition(".")[2]
    return number.isdecimal() and Path(f"/proc/{number}").exists()


def _replace_folder(part: Path, folder: Path) -> None:
    """Put a complete folder in the place of one that is absent or damaged."""
    damaged = part.with_name(f"{part.name}.damaged")
    with suppress(FileNotFoundError):
        folder.replace(damaged)
    part.replace(folder)
    shutil.rmtree(damaged, ignore_errors=True)


def _write_packs(
    dataset: Dataset, sides: Sides, grid: Grid, folder: Path, drop_copies: bool
) -> None:
    """Write all files of a data set in the cache; the index comes last."""
    content = hashlib.sha256()
    writers = {name: PackWriter(folder / f"{name}.bin", content) for name in PACKS}
    entries, thumbs = _write_cases(dataset, sides, grid, writers)
    packs = {writer.file.name: writer.close() for writer in writers.values()}
    dropped: Sequence[DroppedCase] = ()
    if drop_copies and not dataset.card.synthetic:  # drawn images are never copies
        dropped = _find_copies(dataset, sides, thumbs)
    # Workers read the index: the labels of test cases go into a file that scoring alone opens.
    labels = {entry.id: entry.label for entry in entries["test"]}
    write_json(folder / TEST_LABELS, labels)
    packs[TEST_LABELS] = digest_of(folder / TEST_LABELS)
    write_digests(folder, Digests(packs))
    index = _index_of(dataset, grid, entries, dropped)
    data = _content_hash(index, labels, content.hexdigest())
    write_index(folder, replace(index, data=data))


def _write_cases(
    dataset: Dataset, sides: Sides, grid: Grid, writers: Mapping[str, PackWriter]
) -> tuple[dict[str, list[CaseEntry]], dict[str, list[NDArray[np.float32]]]]:
    """Write all cases to the packs; returns their entries and thumbnails by side."""
    thumbs: dict[str, list[NDArray[np.float32]]] = {"train": [], "test": [], "validation": []}
    entries: dict[str, list[CaseEntry]] = {}
    for side in ("train", "test", "validation"):
        entries[side] = []
        for record in sides.get(side, ()):
            case = read_case_on_grid(dataset, record, grid)
            thumbs[side].append(case.thumbnail())
            if side == "train":
                entries[side] += case.write_training(writers)
            else:
                entries[side].append(case.write_test(writers))
    return entries, thumbs


def _index_of(
    dataset: Dataset,
    grid: Grid,
    entries: Mapping[str, Sequence[CaseEntry]],
    dropped: Sequence[DroppedCase],
) -> Index:
    """The index of all entries, without near-copies and without test labels; `data` is empty."""
    train = entries["train"]
    test = entries["test"]
    left_out = {case.id for case in dropped}
    kept = [entry for entry in train if entry.record not in left_out]
    unlabelled = [replace(entry, label=None) for entry in test]
    return Index(
        card=dataset.card,
        spec=_segmentation_spec(dataset, grid.size),
        data="",
        train=kept,
        test=unlabelled,
        validation=entries["validation"],
        dropped=dropped,
    )


def _content_hash(index: Index, labels: Mapping[str, int | None], packs: str) -> str:
    """sha256 of all decoded arrays and of how the index describes them."""
    described: list[Any] = [labels, index.spec.identity]  # regions are on the card
    described += [asdict(region) for region in index.card.regions]
    for side in (index.train, index.test, index.validation):
        described.append([_described(entry) for entry in side])
    return hashing.digest([packs, described])


def _described(entry: CaseEntry) -> dict[str, Any]:
    """An entry as the hash of the content sees it: without what follows from the arrays."""
    fields = asdict(entry)
    del fields["classes_on_grid"]
    for name in ("volume", "affine", "inner"):
        if fields[name] is None:
            del fields[name]
    return fields


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
