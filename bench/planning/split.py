"""Who is tested, who trains, and in which order patients are labelled."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import hashing
from bench.api import Record
from bench.data.index import CaseEntry, Index
from bench.errors import BenchError, shown
from bench.files.records import CHANGED, read_bytes, read_regular, write_json
from bench.planning import budget

KEYS = ("dataset", "train", "test", "groups", "orders")
RUN_AGAIN = "remove it and give the suite to 'run' again"


@dataclass(frozen=True)
class Split:
    """Case ids by side, the patient of each case, and a labelling order of patients per subset."""

    dataset: str
    train: tuple[str, ...]  # case ids in list order
    test: tuple[str, ...]
    groups: Mapping[str, str]  # case id -> patient
    orders: Mapping[int, tuple[str, ...]]  # subset j -> all training patients; a budget is a prefix

    def labelled(self, subset: int, count: int) -> tuple[str, ...]:
        """The labelled patients of subset j at L = count, in the order they are drawn."""
        return self.orders[subset][:count]

    def patients(self, side: Sequence[str]) -> int:
        """How many patients the given cases have."""
        return len({self.groups[case] for case in side})

    def hash(self, subset: int) -> str:
        """sha256 of all that decides who trains and who is tested in subset j."""
        return hashing.digest(self.as_json([subset]))

    def as_json(self, subsets: Sequence[int]) -> dict[str, Any]:
        """Plain data with some subsets, for `splits/` and for hashes."""
        groups = {case: self.groups[case] for case in (*self.train, *self.test)}
        orders = {str(subset): list(self.orders[subset]) for subset in subsets}
        return {
            "dataset": self.dataset,
            "train": list(self.train),
            "test": list(self.test),
            "groups": groups,
            "orders": orders,
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
        labels = _patient_labels(records)
        tested = set(budget.draw_test_groups(labels, hashing.seed(seed, "test split")))
        train = [record for record in records if record.group not in tested]
        test = [record for record in records if record.group in tested]
    _check_sides(train, test)
    return train, test[:test_cases]


def fold_sides(
    records: Sequence[Record], seed: int, folds: int
) -> list[tuple[list[Record], list[Record]]]:
    """(train, test) records of each outer fold, in list order: each patient is tested once.

    Folds are drawn over all cases, stratified by label; lists of the data itself are left aside.
    Raises BenchError if a fold would have fewer than two patients.
    """
    labels = _patient_labels(records)
    if len(labels) < 2 * folds:
        raise BenchError(
            f"outer_folds: {folds} given; the data has {len(labels)} patients; "
            f"expected at least two for each fold; give at most {len(labels) // 2}"
        )
    order = budget.stratified_order(labels, hashing.seed(seed, "outer folds"))
    sides = []
    for fold in range(folds):
        tested = set(order[fold::folds])
        train = [record for record in records if record.group not in tested]
        test = [record for record in records if record.group in tested]
        _check_sides(train, test)
        sides.append((train, test))
    return sides


def _patient_labels(records: Sequence[Record]) -> dict[str, int | None]:
    """The highest label of each patient: one with a single abnormal slice is abnormal."""
    labels: dict[str, int | None] = {}
    for record in records:
        known = [labels.get(record.group), record.label]
        labels[record.group] = max((label for label in known if label is not None), default=None)
    return labels


def validation(records: Sequence[Record]) -> list[Record]:
    """The data's own validation list. Raises BenchError if there is none."""
    listed = [record for record in records if record.split == "validation"]
    if not listed:
        raise BenchError(
            "'select: {by: validation}' given; the data has no validation list; drop 'select'"
        )
    return listed


def _check_sides(train: Sequence[Record], test: Sequence[Record]) -> None:
    """Raise BenchError if a side is too small or if both have a patient."""
    if not train or not test:
        raise BenchError(
            f"{len(train)} training and {len(test)} test cases given; "
            "expected some of both; fix the split"
        )
    trained = {record.group for record in train}
    tested = {record.group for record in test}
    shared = sorted(trained & tested)
    if shared:
        raise BenchError(
            f"patient {shared[0]!r} given on both sides of the split ({len(shared)} such); "
            "expected each patient on one side; fix the split"
        )
    if len(trained) < 2:
        raise BenchError(
            "1 training patient given; expected at least 2; add patients or fix the split"
        )


def strata(entries: Sequence[CaseEntry]) -> dict[str, tuple[Any, ...]]:
    """Stratum of each patient: label, classes, tertile of the lesion area (protocol R1.4)."""
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
    by_patient: dict[str, tuple[Any, ...]] = {}
    for group, classes in present.items():
        by_patient[group] = (labels.get(group), tuple(sorted(classes)), third[group])
    return by_patient


def draw(
    dataset: str, index: Index, seed: int, subsets: Sequence[int], listed: bool = False
) -> Split:
    """The split of a decoded data set, with an order of patients for each of these subsets.

    Orders are stratified; with `listed`, they are that of the data's own list.
    """
    by_patient = strata(index.train)
    orders: dict[int, tuple[str, ...]] = {}
    for subset in subsets:
        orders[subset] = tuple(by_patient)
        if not listed:
            subset_seed = hashing.seed(seed, dataset, subset, "labelled")
            orders[subset] = tuple(budget.stratified_order(by_patient, subset_seed))
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
    """The first 16 hex characters of the sha256 of a list file with one name on each line."""
    text = "".join(f"{name}\n" for name in names)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def export(split: Split, file: Path) -> None:
    """Write a split as JSON, with its sha256. Raises BenchError if that is not possible."""
    content = split.as_json(sorted(split.orders))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {**content, "sha256": hashing.digest(content)})
    except OSError as problem:
        raise BenchError(f"cannot write {file} ({problem.strerror}); give another path") from None


def read_kept(file: Path, with_hash: bool = False) -> Split:
    """Read the split that a run keeps in its folder.

    Raises BenchError if it was changed; with `with_hash`, also if it does not say its hash.
    """
    text = read_bytes(file, RUN_AGAIN)
    try:
        content = json.loads(text or b"")
        stated = content.pop("sha256", None)
        split = _split_from(content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BenchError(f"{file} is no split; {RUN_AGAIN}") from None
    if (stated is None and with_hash) or stated not in (None, hashing.digest(content)):
        raise BenchError(f"{file} {CHANGED}; {RUN_AGAIN}")
    return split


def read(file: Path) -> Split:
    """Read an exported split.

    Raises BenchError if the file is none, or if its content does not have the sha256 that it says.
    """
    try:
        content = json.loads(read_regular(file), object_pairs_hook=_without_twins)
        stated = content.pop("sha256", None)
        split = _split_from(content)
    except FileNotFoundError:
        raise BenchError(
            f"split file {file} given; no such file; make one with 'splits DATASET --export'"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise BenchError(
            f"split file {file} given; "
            f"expected JSON with dataset, train, test, groups, orders ({shown(problem)}); "
            "make one with 'splits DATASET --export'"
        ) from None
    actual = hashing.digest(content)
    if stated is not None and stated != actual:
        raise BenchError(
            f"split file {file} was changed: its content has sha256 {actual[:12]}, "
            f"it says {shown(stated)[:14]}; restore it, or remove its line 'sha256' to use it as "
            "your own"
        )
    return split


def _split_from(content: Mapping[str, Any]) -> Split:
    """A split from the content of its file; raises whatever a bad file leads to.

    Names are compared in the form of Unicode (NFC) in which data sets give them.
    """
    unknown = sorted(set(content) - set(KEYS))
    if unknown:
        raise ValueError(f"{shown(unknown[0])} is none of its keys")
    text = json.dumps(content, ensure_ascii=False)
    content = json.loads(unicodedata.normalize("NFC", text))
    orders: dict[int, tuple[str, ...]] = {}
    for subset, order in content["orders"].items():
        if str(int(subset)) != subset:  # 01 would take the place of 1
            raise ValueError(f"{shown(subset)} is no number of a subset")
        orders[int(subset)] = _texts(order)
    groups = dict(content["groups"])
    _texts(list(groups.values()))
    return Split(
        dataset=_texts([content["dataset"]])[0],
        train=_texts(content["train"]),
        test=_texts(content["test"]),
        groups=groups,
        orders=orders,
    )


def _texts(values: Any) -> tuple[str, ...]:
    """A list of texts as a tuple. Raises TypeError for anything else."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{shown(values)} is no list of texts")
    return tuple(values)


def _without_twins(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError if a key is given twice."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {shown(twice)} is given twice")
    return content


def check_against(split: Split, records: Sequence[Record], file: Path) -> None:
    """Raise BenchError if a given split does not fit the cases and patients of the data."""
    problem = _mismatch(split, {record.id: record.group for record in records})
    if problem:
        raise BenchError(
            f"split file {file} names {problem}; expected a split of this data; export a new one"
        )


def _mismatch(split: Split, known: Mapping[str, str]) -> str | None:
    """What in a split does not fit the known patient of each case, in words, or None."""
    cases = (*split.train, *split.test)
    empty = [side for side in ("train", "test") if not getattr(split, side)]
    if empty:
        return f"no case in {empty[0]!r}"
    for listed in (split.train, split.test, *split.orders.values()):
        twice = _first_twice(listed)
        if twice is not None:
            return f"{shown(twice)} twice"
    unknown = [case for case in (*cases, *split.groups) if case not in known]
    if unknown:
        return f"{len(unknown)} cases that the data does not hold, such as {shown(unknown[0])}"
    moved = [case for case in cases if split.groups.get(case) != known[case]]
    if moved:
        return f"another patient for case {shown(moved[0])} than the data"
    trained = {known[case] for case in split.train}
    tested = {known[case] for case in split.test}
    if trained & tested:
        return "a patient on both sides"
    if len(trained) < 2:
        return "1 training patient instead of two or more"
    if any(sorted(order) != sorted(trained) for order in split.orders.values()):
        return "orders that are not the training patients"
    return None


def _first_twice(names: Sequence[str]) -> str | None:
    """The first name that a list holds again, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
