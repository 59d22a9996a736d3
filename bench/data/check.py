"""What `data check` finds: reads every case of a dataset once and reports counts, problems and duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.api import Card, Dataset, RawCase, Record
from bench.data import near_duplicates
from bench.errors import BenchError, DataProblem
from bench.planning import split

SHOWN = 10  # duplicate pairs and problems printed; the report holds all


@dataclass(frozen=True, slots=True)
class SplitCount:
    """One side of the data's own split; `name` is 'all' where it has none."""

    name: str
    cases: int
    groups: int


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How often and how large a class is."""

    name: str
    cases: int  # that hold at least one pixel of it
    area: float  # share of the pixels, mean over all cases with a mask


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two images that are nearly the same, by case id, and the sides they lie on."""

    first: str
    second: str
    sides: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """What is in a dataset and whether it can be used; counts cover the cases that could be read."""

    card: Card | None = None  # None where the dataset could not be opened
    splits: list[SplitCount] = field(default_factory=list)
    classes: list[ClassCount] = field(default_factory=list)
    smallest: tuple[int, ...] | None = None  # *S of the image with the fewest pixels
    largest: tuple[int, ...] | None = None
    sizes: int = 0  # distinct image sizes
    normals: int = 0  # cases with an empty mask
    hash_pairs: int = 0  # pairs of two sides that are alike by hash alone
    duplicates: list[Duplicate] = field(default_factory=list)  # those confirmed by their thumbnails
    notes: dict[str, int] = field(default_factory=dict)  # what had to be mended -> cases
    problems: list[str] = field(default_factory=list)
    usable: bool = False


@dataclass(frozen=True, slots=True)
class _Look:
    """What is kept of one case after reading it."""

    record: Record
    shape: tuple[int, ...]
    areas: NDArray[np.float64] | None  # share of each class; None without a mask
    notes: tuple[str, ...]
    hash: np.uint64
    thumb: NDArray[np.float32]


def check(dataset: Dataset) -> Report:
    """Read all cases; bad ones become problems, one line each, and reading goes on."""
    try:
        card, records = dataset.card, dataset.records()
    except DataProblem as problem:
        return Report(problems=[str(problem)])
    fatal = _record_problems(records)
    looks = []
    for record in records:
        try:
            looks.append(_look(record, dataset.read(record), card))
        except DataProblem as problem:
            fatal.append(str(problem))
    return _report(card, records, looks, fatal)


def obstacle(dataset: Dataset) -> str | None:
    """Why `run` would refuse to split this dataset into training and test patients, or None."""
    try:
        split.draw_sides(dataset.records(), 0, None)
    except BenchError as problem:
        return str(problem)
    return None


def _report(
    card: Card, records: Sequence[Record], looks: Sequence[_Look], fatal: list[str]
) -> Report:
    sizes = sorted({look.shape for look in looks}, key=lambda shape: (np.prod(shape), shape))
    whole = [look for look in looks if len(look.shape) == card.ndim]  # a slice may well be empty
    normal = [
        look.record.id for look in whole if look.areas is not None and not look.areas[1:].any()
    ]
    classes = _classes(card, looks)
    alike, same = _duplicates(looks)
    return Report(
        card=card,
        splits=_splits(records),
        classes=classes,
        smallest=sizes[0] if sizes else None,
        largest=sizes[-1] if sizes else None,
        sizes=len(sizes),
        normals=len(normal),
        hash_pairs=alike,
        duplicates=same,
        notes=dict(Counter(note for look in looks for note in set(look.notes))),
        problems=fatal + _mild_problems(card, records, classes, normal),
        usable=not fatal,
    )


def _look(record: Record, raw: RawCase, card: Card) -> _Look:
    """The case in short. Raises DataProblem where it does not keep what the card says."""
    shape = raw.image.shape[1:]
    _check_case(record, raw, card)
    areas = None
    if raw.mask is not None:
        areas = np.bincount(raw.mask.ravel(), minlength=len(card.classes)) / raw.mask.size
    return _Look(
        record,
        shape,
        areas,
        raw.notes,
        near_duplicates.dhash(raw.image, card.slice_axis),
        near_duplicates.thumbnail(raw.image, card.slice_axis),
    )


def _check_case(record: Record, raw: RawCase, card: Card) -> None:
    """Raise DataProblem where channels, dimensions, mask shape or mask values differ from the card."""
    single_slice = (
        card.ndim == 3 and raw.image.ndim == 3
    )  # volumes may be given as slices to train on
    if (raw.image.ndim != card.ndim + 1 and not single_slice) or raw.image.shape[
        0
    ] != card.channels:
        raise DataProblem(
            f"case {record.id}: image of shape {raw.image.shape}; expected {card.channels} channels and "
            f"{card.ndim} dimensions"
        )
    if raw.mask is None:
        return
    if raw.mask.shape != raw.image.shape[1:]:
        raise DataProblem(
            f"case {record.id}: mask of shape {raw.mask.shape}; expected {raw.image.shape[1:]}, as its image"
        )
    if raw.mask.max(initial=0) >= len(card.classes):
        raise DataProblem(
            f"case {record.id}: mask value {raw.mask.max()}; expected 0 to {len(card.classes) - 1} "
            f"({', '.join(card.classes)})"
        )


def _record_problems(records: Sequence[Record]) -> list[str]:
    """What makes the list of cases unusable: none, one id twice, a patient on two sides."""
    if not records:
        return ["no cases; expected at least four patients, two to train and two to test"]
    repeated = [
        case for case, count in Counter(record.id for record in records).items() if count > 1
    ]
    sides: dict[str, set[str]] = {}
    for record in records:
        sides.setdefault(record.group, set()).add(_side(record))
    return [f"case {case} is listed more than once; expected unique ids" for case in repeated] + [
        f"patient {group} is in {' and '.join(sorted(found))}; expected each patient on one side"
        for group, found in sides.items()
        if len(found) > 1
    ]


def _mild_problems(
    card: Card, records: Sequence[Record], classes: Sequence[ClassCount], normal: Sequence[str]
) -> list[str]:
    """What the user should look at but can live with."""
    found = []
    if normal and not card.normals:
        found.append(
            f"{len(normal)} cases have an empty mask ({', '.join(normal[:3])}), but the card says that there "
            "are no normal images; mend the masks, or set normals = true"
        )
    found += [
        f"class '{one.name}' is in no case; expected it in some" for one in classes if not one.cases
    ]
    given = {record.split for record in records}
    if given != {None}:
        missing = [side for side in ("train", "test") if side not in given]
        found += [f"the data's own split has no {side} case; expected some" for side in missing]
    return found


def _side(record: Record) -> str:
    return record.split or "all"


def _splits(records: Sequence[Record]) -> list[SplitCount]:
    """Cases and groups of each side, in list order."""
    groups: dict[str, list[str]] = {}
    for record in records:
        groups.setdefault(_side(record), []).append(record.group)
    return [SplitCount(side, len(members), len(set(members))) for side, members in groups.items()]


def _classes(card: Card, looks: Sequence[_Look]) -> list[ClassCount]:
    """Cases and mean area of each class; nothing where no case has a mask."""
    areas = [look.areas for look in looks if look.areas is not None]
    if not areas:
        return []
    table = np.stack(areas)  # N K
    columns = zip(card.classes, (table > 0).sum(0), table.mean(0), strict=True)
    return [ClassCount(name, int(cases), float(area)) for name, cases, area in columns]


def _duplicates(looks: Sequence[_Look]) -> tuple[int, list[Duplicate]]:
    """Pairs alike by hash, and the confirmed ones: across the data's split, else across patients."""
    if not looks:
        return 0, []
    hashes, thumbs = (
        np.array([look.hash for look in looks]),
        np.stack([look.thumb for look in looks]),
    )
    own_split = any(look.record.split for look in looks)
    names = [_side(look.record) if own_split else look.record.group for look in looks]
    sides = np.unique(names, return_inverse=True)[1]
    pairs = near_duplicates.close_hashes(hashes, hashes)
    pairs = pairs[(pairs[:, 0] < pairs[:, 1]) & (sides[pairs[:, 0]] != sides[pairs[:, 1]])]
    same = near_duplicates.confirmed(pairs, thumbs, thumbs)
    return len(pairs), [
        Duplicate(looks[a].record.id, looks[b].record.id, (names[a], names[b])) for a, b in same
    ]


def render(report: Report) -> str:
    """The report as plain text for the terminal."""
    lines = (
        [f"{report.card.title} ({report.card.id})", f"group: {report.card.unit}"]
        if report.card
        else []
    )
    lines += _table(
        "split", ("cases", "groups"), [(s.name, s.cases, s.groups) for s in report.splits]
    )
    rows = [(c.name, c.cases, f"{100 * c.area:.1f}%") for c in report.classes]
    lines += _table("class", ("cases", "mean area"), rows)
    if report.smallest and report.largest:
        lines += ["", _size_line(report), f"empty masks: {report.normals}"]
        where = "patients" if [split.name for split in report.splits] == ["all"] else "splits"
        lines.append(
            f"near-duplicates across {where}: {len(report.duplicates)} pairs ({report.hash_pairs} by hash alone)"
        )
        lines += _first(f"{one.first} = {one.second}" for one in report.duplicates)
    lines += [f"{note}: {cases} cases" for note, cases in report.notes.items()]
    lines += ["", f"problems: {len(report.problems) or 'none'}", *_first(report.problems)]
    return "\n".join([*lines, f"usable: {'yes' if report.usable else 'no'}"]).strip()


def _size_line(report: Report) -> str:
    smallest, largest = (
        "x".join(map(str, size or ())) for size in (report.smallest, report.largest)
    )
    return (
        f"image size: {largest}"
        if report.sizes == 1
        else f"image size: {smallest} to {largest}, {report.sizes} sizes"
    )


def _table(
    title: str, columns: tuple[str, str], rows: Sequence[tuple[object, object, object]]
) -> list[str]:
    """A blank line, a header and the rows, numbers to the right; nothing without rows."""
    if not rows:
        return []
    width = max(len(str(row[0])) for row in [(title,), *rows])
    return ["", *(f"{a!s:<{width}}  {b!s:>6}  {c!s:>9}" for a, b, c in [(title, *columns), *rows])]


def _first(items: Iterable[str]) -> list[str]:
    """Indented lines, at most SHOWN of them."""
    lines = [f"  {item}" for item in items]
    return lines[:SHOWN] + ([f"  ... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else [])
