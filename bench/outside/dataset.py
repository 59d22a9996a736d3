"""Data sets of plug-ins and packages: card, records and cases are checked before they are used.

Without this a wrong type would end in a traceback far away, and two cases of one id in one score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.api import Card, Dataset, DatasetFactory, RawCase, Record
from bench.errors import BenchError, DataProblem, one_line, shown
from bench.plugin_files import in_short

if TYPE_CHECKING:
    from pydantic import BaseModel

SIDES = (None, "train", "test", "validation")
MOST_CLASSES = 255  # numbers of 8 bits, without the one for ignored pixels
SEE = "see docs/add_a_dataset.md"


def checked_dataset(factory: DatasetFactory, name: str, data: Path | None, file: Path) -> Dataset:
    """The data set that code from outside makes, whose answers are checked.

    Raises DataProblem that names the file where it fails, or where its card cannot be used.
    """
    with _naming(file, f"DATASETS[{name!r}]"):
        dataset = factory(name, data)
    with _naming(file, "card"):
        card = dataset.card
    _check_card(card, file)
    return CheckedDataset(dataset, card, file)


class CheckedDataset:
    """A data set from outside; what it gives is as `bench.api` says, or DataProblem is raised."""

    def __init__(self, dataset: Dataset, card: Card, file: Path) -> None:
        self.dataset = dataset
        self.card = card
        self.file = file

    def records(self) -> list[Record]:
        """All cases, each with an id of its own."""
        with _naming(self.file, "records"):
            records = list(self.dataset.records())
        for record in records:
            _check_record(record, self.card, self.file)
        _check_ids(records, self.file)
        return records

    def read(self, record: Record) -> RawCase:
        """One case; whether it fits the card is checked where it is decoded."""
        with _naming(self.file, f"read of case {record.id}"):
            raw = self.dataset.read(record)
        _check_case(raw, record, self.file)
        return raw


@contextmanager
def _naming(file: Path, what: str) -> Iterator[None]:
    """Turn whatever code from outside raises into a DataProblem that names it."""
    try:
        yield
    except (BenchError, MemoryError):
        raise
    except Exception as problem:
        raise DataProblem(f"{file.name}: {what} fails: {in_short(problem)}; fix it") from problem


def _check_card(card: Any, file: Path) -> None:
    from pydantic import ValidationError

    if not isinstance(card, Card):
        raise _odd(file, "card", card, "a bench.api.Card")
    try:
        _given_card()(card=card)
    except ValidationError as problem:
        raise DataProblem(f"{file.name}: {one_line(problem)}; {SEE}") from None
    _check_grid(card, file)
    if not 2 <= len(card.classes) <= MOST_CLASSES:
        expected = f"2 to {MOST_CLASSES} names, background first"
        raise _odd(file, "card: classes", card.classes, expected)
    for key, names in (("classes", card.classes), ("labels", card.labels)):
        if len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise _odd(file, f"card: {key}", names, "each name once, and none empty")


def _check_grid(card: Card, file: Path) -> None:
    """Raise DataProblem for dimensions, channels or a spacing that no image has."""
    if card.ndim not in (2, 3):
        raise _odd(file, "card: ndim", card.ndim, "2 or 3")
    if card.channels < 1:
        raise _odd(file, "card: channels", card.channels, "at least 1")
    if not 0 <= card.slice_axis < card.ndim:
        raise _odd(file, "card: slice_axis", card.slice_axis, f"0 to {card.ndim - 1}")
    if card.spacing is None:
        return
    steps = np.asarray(card.spacing)
    if len(steps) != card.ndim or not (np.isfinite(steps) & (steps > 0)).all():
        raise _odd(file, "card: spacing", card.spacing, f"{card.ndim} numbers above 0, in mm")


@lru_cache(maxsize=1)
def _given_card() -> type[BaseModel]:
    """A model that holds a card, and looks at the types of its fields."""
    from pydantic import ConfigDict, create_model

    settings = ConfigDict(strict=True, revalidate_instances="always")
    return create_model("GivenCard", __config__=settings, card=(Card, ...))


def _check_record(record: Any, card: Card, file: Path) -> None:
    """Raise DataProblem for a field of a record that is not as `bench.api` says."""
    if not isinstance(record, Record):
        raise _odd(file, "records", record, "bench.api.Record")
    for key in ("id", "group"):
        if not _is_name(getattr(record, key)):
            raise _odd(file, f"record: {key}", getattr(record, key), "a text, not empty")
    name = f"record {record.id}"
    if record.split not in SIDES:
        raise _odd(file, f"{name}: split", record.split, "train, test, validation or None")
    label = record.label
    is_label = type(label) is int and 0 <= label < max(1, len(card.labels))
    if label is not None and card.labels and not is_label:
        expected = f"None or an int from 0 to {len(card.labels) - 1}"
        raise _odd(file, f"{name}: label", label, expected)
    if label is not None and type(label) is not int:
        raise _odd(file, f"{name}: label", label, "None or an int")
    files = (*_as_tuple(record.masks), *_as_tuple(record.channels))
    if record.image is not None:
        files = (record.image, *files)
    for given in files:
        if not isinstance(given, Path):
            raise _odd(file, f"{name}: image, masks and channels", given, "pathlib.Path")


def _is_name(given: Any) -> bool:
    """Whether a value is a text that files can hold."""
    if not isinstance(given, str) or not given.strip():
        return False
    return given.encode(errors="replace").decode() == given


def _as_tuple(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, tuple | list) else (given,)


def _check_ids(records: Sequence[Record], file: Path) -> None:
    """Raise DataProblem for two cases of one id, and for some alone that have no side."""
    counts = Counter(record.id for record in records)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise DataProblem(
            f"{file.name}: {len(twice)} ids are given to several cases, such as {shown(twice[0])}; "
            "expected an id of its own for each; rename them"
        )
    without = [record.id for record in records if record.split is None]
    if 0 < len(without) < len(records):
        raise DataProblem(
            f"{file.name}: {len(without)} of {len(records)} cases have no split, such as "
            f"{shown(without[0])}, and would be left out; expected one for all or for none; fix it"
        )


def _check_case(raw: Any, record: Record, file: Path) -> None:
    name = f"case {record.id}"
    if not isinstance(raw, RawCase):
        raise _odd(file, name, raw, "a bench.api.RawCase")
    if not isinstance(raw.image, np.ndarray):
        raise _odd(file, f"{name}: image", type(raw.image), "a numpy array")
    if raw.mask is not None and not isinstance(raw.mask, np.ndarray):
        raise _odd(file, f"{name}: mask", type(raw.mask), "a numpy array or None")
    if raw.spacing is not None and not _are_numbers(raw.spacing):
        raise _odd(file, f"{name}: spacing", raw.spacing, "a tuple of mm, or None")
    notes = raw.notes
    if not isinstance(notes, tuple) or not all(isinstance(note, str) for note in notes):
        raise _odd(file, f"{name}: notes", notes, "a tuple of texts")
    if raw.affine is not None and np.shape(raw.affine) != (4, 4):
        raise _odd(file, f"{name}: affine", np.shape(raw.affine), "shape (4, 4), or None")


def _are_numbers(given: Any) -> bool:
    numbers = _as_tuple(given)
    return isinstance(given, tuple | list) and all(
        isinstance(number, int | float | np.number) for number in numbers
    )


def _odd(file: Path, what: str, given: object, expected: str) -> DataProblem:
    return DataProblem(f"{file.name}: {what}: {shown(given)} given; expected {expected}; {SEE}")
