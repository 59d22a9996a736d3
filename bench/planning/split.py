"""Who is tested, who trains, and in which order patients are labelled; saved with a hash and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import hashing
from bench.api import Record
from bench.data.index import CaseEntry, Index
from bench.errors import BenchError
from bench.planning import budget
from bench.records import write_json


@dataclass(frozen=True)
class Split:
    """Case ids by side, the patient of each case, and one labelling order of patients per subset."""

    dataset: str
    train: tuple[str, ...]  # case ids in list order
    test: tuple[str, ...]
    groups: Mapping[str, str]  # case id -> patient
    orders: Mapping[int, tuple[str, ...]]  # subset j -> all training patients; a budget is a prefix

    def labelled(self, subset: int, count: int) -> tuple[str, ...]:
        """The labelled patients of subset j at L = count, in the order they are drawn."""
        return self.orders[subset][:count]

    def patients(self, side: Sequence[str]) -> int:
        """Number of patients among the given cases."""
        return len({self.groups[case] for case in side})

    def hash(self, subset: int) -> str:
        """sha256 of all that decides who is fitted and who is tested under subset j."""
        return hashing.digest(self.as_json([subset]))

    def as_json(self, subsets: Sequence[int]) -> dict[str, Any]:
        """Plain data for `splits/` and for hashes."""
        return {
            "dataset": self.dataset,
            "train": list(self.train),
            "test": list(self.test),
            "groups": {case: self.groups[case] for case in (*self.train, *self.test)},
            "orders": {str(j): list(self.orders[j]) for j in subsets},
        }


def draw_sides(
    records: Sequence[Record], seed: int, test_cases: int | None
) -> tuple[list[Record], list[Record]]:
    """(train, test) records in list order: the data's own split, else one drawn by patient.

    A validation list is left out. `test_cases` keeps only the first N of the test list.
    """
    if any(record.split is not None for record in records):
        train = [record for record in records if record.split == "train"]
        test = [record for record in records if record.split == "test"]
    else:
        strata: dict[str, int | None] = {}
        for record in records:  # a patient with one abnormal slice is abnormal
            known = (strata.get(record.group), record.label)
            strata[record.group] = max(
                (label for label in known if label is not None), default=None
            )
        drawn = set(budget.draw_test_groups(strata, hashing.seed(seed, "test split")))
        train = [record for record in records if record.group not in drawn]
        test = [record for record in records if record.group in drawn]
    _check_sides(train, test)
    return train, test[:test_cases]


def validation(records: Sequence[Record]) -> list[Record]:
    """The data's own validation list. Raises BenchError where there is none."""
    found = [record for record in records if record.split == "validation"]
    if not found:
        raise BenchError(
            "'select: {by: validation}' given; the data has no validation list; drop 'select'"
        )
    return found


def _check_sides(train: Sequence[Record], test: Sequence[Record]) -> None:
    if not train or not test:
        raise BenchError(
            f"{len(train)} training and {len(test)} test cases given; expected some of both; mend the split"
        )
    shared = sorted({record.group for record in train} & {record.group for record in test})
    if shared:
        raise BenchError(
            f"patient {shared[0]!r} given on both sides of the split ({len(shared)} such); "
            "expected each patient on one side; mend the split"
        )
    if len({record.group for record in train}) < 2:
        raise BenchError(
            "1 training patient given; expected at least 2; add patients or mend the split"
        )


def strata(entries: Sequence[CaseEntry]) -> dict[str, tuple[Any, ...]]:
    """Stratum of each patient: label, classes present, tertile of the lesion area (protocol R1.4)."""
    present: dict[str, set[int]] = {}
    area: dict[str, float] = {}
    labels: dict[str, int | None] = {}
    for entry in entries:
        group = entry.group
        present.setdefault(group, set()).update(entry.classes)
        area[group] = area.get(group, 0.0) + entry.area
        if entry.label is not None:  # a patient with one abnormal slice is abnormal
            labels[group] = max(entry.label, labels.get(group) or 0)
    third = budget.tertiles(area)
    kinds: dict[str, tuple[Any, ...]] = {}
    for group, classes in present.items():
        kinds[group] = (labels.get(group), tuple(sorted(classes)), third[group])
    return kinds


def draw(dataset: str, index: Index, seed: int, subsets: int, listed: bool = False) -> Split:
    """The split of a prepared data set, with an order of patients for each draw.

    Orders are stratified, or, where `listed`, that of the data's own list.
    """
    kinds = strata(index.train)
    orders: dict[int, tuple[str, ...]] = {}
    for subset in range(subsets):
        orders[subset] = tuple(kinds)
        if not listed:
            own_seed = hashing.seed(seed, dataset, subset, "labelled")
            orders[subset] = tuple(budget.stratified_order(kinds, own_seed))
    groups = {entry.record: entry.group for entry in (*index.train, *index.test)}
    train = tuple(dict.fromkeys(entry.record for entry in index.train))
    test = tuple(dict.fromkeys(entry.record for entry in index.test))
    return Split(dataset, train, test, groups, orders)


def own_lists(records: Sequence[Record]) -> dict[str, str]:
    """Hash of each of the data's own lists."""
    hashes = {}
    for side in ("train", "test", "validation"):
        names = [record.id for record in records if record.split == side]
        if names:
            hashes[side] = list_hash(names)
    return hashes


def list_hash(names: Sequence[str]) -> str:
    """sha256 of a list file with one name a line, its first 16 hex characters."""
    text = "".join(f"{name}\n" for name in names)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def export(split: Split, file: Path) -> None:
    """Write a split as JSON with its sha256."""
    content = split.as_json(sorted(split.orders))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {**content, "sha256": hashing.digest(content)})
    except OSError as problem:
        raise BenchError(f"cannot write {file} ({problem.strerror}); give another place") from None


def read(file: Path) -> Split:
    """Read an exported split. Raises BenchError where the file is not one, or was edited under its hash."""
    try:
        content = json.loads(file.read_text())
        given = content.pop("sha256", None)
        split = Split(
            content["dataset"],
            tuple(content["train"]),
            tuple(content["test"]),
            dict(content["groups"]),
            {int(j): tuple(order) for j, order in content["orders"].items()},
        )
    except FileNotFoundError:
        raise BenchError(
            f"split file {file} given; no such file; make one with 'splits DATASET --export'"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise BenchError(
            f"split file {file} given; expected JSON with dataset, train, test, groups, orders ({problem!r}); "
            "make one with 'splits DATASET --export'"
        ) from None
    if given is not None and given != hashing.digest(content):
        raise BenchError(
            f"split file {file} was changed: its content has sha256 {hashing.digest(content)[:12]}, "
            f"it says {given[:12]}; restore it, or remove its line 'sha256' to use it as your own split"
        )
    return split


def check_against(split: Split, records: Sequence[Record], file: Path) -> None:
    """Raises BenchError where a given split names cases or patients that the data does not have."""
    problem = _mismatch(split, {record.id: record.group for record in records})
    if problem:
        raise BenchError(
            f"split file {file} names {problem}; expected a split of this data; export a new one"
        )


def _mismatch(split: Split, known: Mapping[str, str]) -> str | None:
    """What in a split does not fit cases of known patients, in words."""
    cases = (*split.train, *split.test)
    unknown = [case for case in cases if case not in known]
    if unknown:
        return f"{len(unknown)} cases that the data does not hold, such as {unknown[0]!r}"
    moved = [case for case in cases if split.groups.get(case) != known[case]]
    if moved:
        return f"another patient for case {moved[0]!r} than the data"
    trainers = {known[case] for case in split.train}
    if trainers & {known[case] for case in split.test}:
        return "a patient on both sides"
    if any(sorted(order) != sorted(trainers) for order in split.orders.values()):
        return "orders that are not the training patients"
    return None
