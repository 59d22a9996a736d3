"""Stored data against derived data: every leaf that differs, with its place. Pure."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TOLERANCE = 1e-9  # relative: sums in another order
NOTHING = "nothing"
LABELS = (
    "key",
    "task",
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
    """One thing that is stored and one that the files give instead."""

    file: str
    row: str
    metric: str
    stored: Any
    derived: Any

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.file, self.row, self.metric) if part)
        return f"{place}: stored {_short(self.stored)}, derived {_short(self.derived)}"


@dataclass(frozen=True)
class Check:
    """What one kind of look found."""

    what: str
    count: int
    mismatches: Sequence[Mismatch] = field(default_factory=tuple)
    note: str | None = None  # what could not be looked at, and why


def same(stored: Any, derived: Any) -> bool:
    """Equal, or numbers within the tolerance."""
    if all(
        isinstance(value, int | float) and not isinstance(value, bool)
        for value in (stored, derived)
    ):
        return math.isclose(stored, derived, rel_tol=TOLERANCE, abs_tol=1e-12)
    return type(stored) is type(derived) and bool(stored == derived)


def differences(stored: Any, derived: Any) -> Iterator[tuple[list[str], Any, Any]]:
    """(path, stored, derived) of each leaf that differs; of lists of other lengths the whole."""
    if isinstance(stored, dict) and isinstance(derived, dict):
        for key in dict.fromkeys([*stored, *derived]):
            for path, old, new in differences(stored.get(key, NOTHING), derived.get(key, NOTHING)):
                yield [str(key), *path], old, new
    elif isinstance(stored, list) and isinstance(derived, list) and len(stored) == len(derived):
        for place, (old, new) in enumerate(zip(stored, derived, strict=True)):
            for path, one, other in differences(old, new):
                yield [str(place), *path], one, other
    elif not same(stored, derived):
        yield [], stored, derived


def by_name(value: Any) -> Any:
    """A list of labelled entries as a mapping from their labels; anything else as it is."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        return value
    seen: Counter[str] = Counter()
    named = {}
    for entry in value:
        label = name(entry)
        seen[label] += 1
        named[label if seen[label] == 1 else f"{label} ({seen[label]})"] = entry
    return named


def name(entry: Mapping[str, Any]) -> str:
    """An entry of a board by its labels."""
    return ", ".join(f"{label} {entry[label]}" for label in LABELS if label in entry)


def leaves(value: Any) -> int:
    """How many values plain data holds."""
    if isinstance(value, dict | list):
        return sum(map(leaves, value.values() if isinstance(value, dict) else value))
    return 1


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."
