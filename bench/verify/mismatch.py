"""Stored data compared with recomputed data: every value that differs, and where. Pure."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TOLERANCE = 1e-9  # relative: sums in another order
NOTHING = "nothing"
LONGEST_VALUE = 120  # characters of a value in a message
MOST_LINES = 20  # mismatches of a check that are printed
LABELS = (
    "key",
    "task",
    "trained_on",
    "dataset",
    "labelled",
    "method",
    "variant",
    "metric",
    "subset",
    "case",
    "class",
    "rule",
)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One stored value and what the files give instead."""

    file: str
    row: str
    metric: str
    stored: Any
    derived: Any

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.file, self.row, self.metric) if part)
        return f"{where}: stored {_shortened(self.stored)}, derived {_shortened(self.derived)}"


@dataclass(frozen=True)
class Check:
    """The outcome of one kind of check."""

    what: str
    count: int
    mismatches: Sequence[Mismatch] = field(default_factory=tuple)
    note: str | None = None  # what could not be checked, and why

    def lines(self) -> list[str]:
        """The first mismatches, a line each, and how many more there are."""
        lines = [str(mismatch) for mismatch in self.mismatches[:MOST_LINES]]
        hidden = len(self.mismatches) - MOST_LINES
        if hidden > 0:
            lines.append(f"... and {hidden} more of {self.what}")
        return lines


def is_same(stored: Any, derived: Any) -> bool:
    """Whether two values are equal, or are numbers within the tolerance."""
    if _is_number(stored) and _is_number(derived):
        return math.isclose(stored, derived, rel_tol=TOLERANCE, abs_tol=1e-12)
    return type(stored) is type(derived) and bool(stored == derived)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def differences(stored: Any, derived: Any) -> Iterator[tuple[list[str], Any, Any]]:
    """(path, stored, derived) of each leaf of plain data that differs.

    Lists of different lengths are given as a whole.
    """
    children = _paired_children(stored, derived)
    if children is None:
        if not is_same(stored, derived):
            yield [], stored, derived
        return
    for name, old, new in children:
        for path, old_leaf, new_leaf in differences(old, new):
            yield [name, *path], old_leaf, new_leaf


def _paired_children(stored: Any, derived: Any) -> list[tuple[str, Any, Any]] | None:
    """What two containers hold under the same name or position; None where they have no pairs."""
    if isinstance(stored, dict) and isinstance(derived, dict):
        keys = dict.fromkeys([*stored, *derived])
        return [(str(key), stored.get(key, NOTHING), derived.get(key, NOTHING)) for key in keys]
    if isinstance(stored, list) and isinstance(derived, list) and len(stored) == len(derived):
        pairs = zip(stored, derived, strict=True)
        return [(str(position), old, new) for position, (old, new) in enumerate(pairs)]
    return None


def entries_by_name(value: Any) -> Any:
    """A list of labelled entries as a mapping from their names; anything else as it is."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        return value
    counts: Counter[str] = Counter()
    named = {}
    for entry in value:
        name = entry_name(entry)
        counts[name] += 1
        if counts[name] > 1:
            name = f"{name} ({counts[name]})"
        named[name] = entry
    return named


def entry_name(entry: Mapping[str, Any]) -> str:
    """An entry of a board by its labels."""
    return ", ".join(f"{label} {entry[label]}" for label in LABELS if label in entry)


def count_leaves(value: Any) -> int:
    """How many values plain data holds."""
    if isinstance(value, dict):
        return sum(map(count_leaves, value.values()))
    if isinstance(value, list):
        return sum(map(count_leaves, value))
    return 1


def _shortened(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
