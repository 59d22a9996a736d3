"""The report of `data check`: reads every case of a data set once; counts, problems, duplicates."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.api import Card, Dataset, RawCase, Record
from bench.data import near_duplicates
from bench.data.check_cases import CaseSummary
from bench.data.check_lesions import (
    LesionSizes,
    classes_lost,
    finer_grids,
    first_without_loss,
    lesions_in,
    scale_to,
    sizes_of_class,
)
from bench.data.check_patients import ProposedGroups, knows_patients, propose_groups
from bench.data.decoded_case import LARGEST_GRID, Grid
from bench.data.raw_case import checked
from bench.data.regions import check_regions
from bench.errors import BenchError, DataProblem


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
    """What a data set holds and whether it can be used; counts are of cases that can be read."""

    card: Card | None = None  # None where the data set could not be opened
    splits: list[SplitCount] = field(default_factory=list)
    classes: list[ClassCount] = field(default_factory=list)
    smallest: tuple[int, ...] | None = None  # *S of the image with the fewest pixels
    largest: tuple[int, ...] | None = None
    sizes: int = 0  # distinct image sizes
    normals: int = 0  # cases with an empty mask
    knows_patients: bool = True  # False where each image counts as one for want of a table
    proposed_groups: ProposedGroups | None = None  # where patients are not known
    look_alikes: int = 0  # pairs of two sides that are alike as thumbnails
    duplicates: list[Duplicate] = field(default_factory=list)  # those that their pixels confirm
    notes: dict[str, int] = field(default_factory=dict)  # what had to be corrected -> cases
    noted: dict[str, list[str]] = field(default_factory=dict)  # the same -> ids of these cases
    problems: list[str] = field(default_factory=list)
    usable: bool = False
    cases: list[CaseSummary] = field(default_factory=list)
    lesions: list[LesionSizes] = field(default_factory=list)
    grid: Grid | None = None  # the training grid that it was asked about
    proposed: Grid | None = None  # the first finer grid that keeps all classes, if one is needed


def check(dataset: Dataset, grid: Grid | None = None) -> Report:
    """Read all cases. A bad one becomes one line among the problems, and reading goes on.

    With the `grid` of a suite, classes that cases lose on it are problems too. Raises BenchError on
    a grid of volumes for a data set of images.
    """
    try:
        card = dataset.card
        check_regions(card)
        records = dataset.records()
    except DataProblem as problem:
        return Report(problems=[str(problem)])
    if grid is not None and len(grid.size) > card.ndim:
        raise BenchError(
            f"size {'x'.join(map(str, grid.size))} given; {card.id} holds images; expected height "
            "and width, such as 64x64"
        )
    fatal = _record_problems(records)
    summaries = []
    grids = [grid, *finer_grids(grid)] if grid is not None else []
    for record in records:
        try:
            summaries.append(_summarise_case(record, dataset.read(record), card, grids))
        except DataProblem as problem:
            fatal.append(str(problem))
    look_alikes, duplicates = _find_duplicates(summaries, dataset)
    report = _build_report(card, records, summaries, fatal)
    if grid is not None:
        report.problems.extend(_lost_classes(card, summaries, grid))
    return replace(
        report,
        look_alikes=look_alikes,
        duplicates=duplicates,
        cases=summaries,
        lesions=_lesion_sizes(card, summaries, grid),
        grid=grid,
        proposed=_proposed_grid(summaries, grids),
    )


def grid_from(size: str, shrink: str) -> Grid | None:
    """The training grid of texts such as 64x64 and 2x2x2, or None without a size.

    Raises BenchError on other texts.
    """
    if not size and not shrink:
        return None
    sides = _numbers_of(size)
    factors = _numbers_of(shrink or "x".join("1" * len(sides)))
    if len(sides) not in (2, 3) or len(factors) != len(sides):
        raise BenchError(
            f"size '{size}' and shrink '{shrink}' given; expected two or three numbers each, "
            "such as 64x64, or 96x96x96 with 2x2x2"
        )
    if math.prod(sides) > LARGEST_GRID:
        raise BenchError(f"size '{size}' given; it is larger than {LARGEST_GRID} pixels in all")
    if len(sides) == 2:
        return Grid(sides)
    return Grid(sides, factors)


def _numbers_of(text: str) -> tuple[int, ...]:
    """The numbers above 0 in a text such as 64x64; none where it is another text."""
    if not re.fullmatch(r"[1-9][0-9]{0,4}(x[1-9][0-9]{0,4})*", text):
        return ()
    return tuple(int(number) for number in text.split("x"))


def _build_report(
    card: Card, records: Sequence[Record], summaries: Sequence[CaseSummary], fatal: list[str]
) -> Report:
    """All of the report but near-duplicates."""
    shapes = {summary.shape for summary in summaries}
    sizes = sorted(shapes, key=lambda shape: (np.prod(shape), shape))
    empty = _empty_cases(card, summaries)
    classes = _count_classes(card, summaries)
    noted: dict[str, list[str]] = {}
    for summary in summaries:
        for note in dict.fromkeys(summary.notes):
            noted.setdefault(note, []).append(summary.record.id)
    knows = knows_patients(card, records)
    proposed = None if knows else propose_groups([record.id for record in records])
    return Report(
        card=card,
        splits=_count_splits(records),
        classes=classes,
        smallest=sizes[0] if sizes else None,
        largest=sizes[-1] if sizes else None,
        sizes=len(sizes),
        normals=len(empty),
        knows_patients=knows,
        proposed_groups=proposed,
        notes={note: len(cases) for note, cases in noted.items()},
        noted=noted,
        problems=fatal + _mild_problems(card, records, classes, empty),
        usable=not fatal,
    )


def _summarise_case(record: Record, raw: RawCase, card: Card, grids: Sequence[Grid]) -> CaseSummary:
    """A case in short. Raises DataProblem where it contradicts the card."""
    slices_fit = not any(len(grid.size) == 3 for grid in grids)
    raw = checked(raw, record.id, card, slices_fit)
    areas = None
    lesions: tuple[NDArray[np.int64], ...] = ()
    lost: list[tuple[int, ...]] = []
    if raw.mask is not None:
        pixels = np.bincount(raw.mask.ravel(), minlength=len(card.classes))
        areas = pixels[: len(card.classes)] / raw.mask.size  # without those that are ignored
        lesions = lesions_in(raw.mask, len(card.classes))
        lost = [classes_lost(raw.mask, card, grid) for grid in grids]
    return CaseSummary(
        record,
        raw.image.shape[1:],
        raw.spacing or card.spacing,
        float(raw.image.mean(dtype=np.float64)),
        areas,
        lesions,
        raw.notes,
        tuple(lost),
        near_duplicates.thumbnail(raw.image, card.slice_axis),
    )


def _lesion_sizes(
    card: Card, summaries: Sequence[CaseSummary], grid: Grid | None
) -> list[LesionSizes]:
    """The lesions of each class that has some."""
    masked = [summary for summary in summaries if summary.lesions]
    scales: list[float | None] = [None] * len(masked)
    if grid is not None:
        scales = [scale_to(grid, summary.shape, card) for summary in masked]
    sizes = []
    for number, name in enumerate(card.classes):
        of_class = [summary.lesions[number] for summary in masked]
        counted = sizes_of_class(name, of_class, scales)
        if counted is not None:
            sizes.append(counted)
    return sizes


def _proposed_grid(summaries: Sequence[CaseSummary], grids: Sequence[Grid]) -> Grid | None:
    """The first finer grid that keeps all classes; None if the given one does, or none does."""
    masked = [summary.lost for summary in summaries if summary.lost]
    if not any(lost[0] for lost in masked):
        return None
    return first_without_loss(masked, grids)


def _lost_classes(card: Card, summaries: Sequence[CaseSummary], grid: Grid) -> list[str]:
    """A line for each class that cases lose on the training grid, which names them."""
    lines = []
    for number, name in enumerate(card.classes):
        lost = [
            summary.record.id for summary in summaries if summary.lost and number in summary.lost[0]
        ]
        if not lost:
            continue
        areas = [summary.areas for summary in summaries if summary.areas is not None]
        holders = int((np.stack(areas)[:, number] > 0).sum())
        lines.append(
            f"{len(lost)} of {holders} cases with {name!r} have none after "
            f"{grid.describe()} ({', '.join(lost)}); choose a finer grid"
        )
    return lines


def _record_problems(records: Sequence[Record]) -> list[str]:
    """What makes the list of cases unusable: it is empty, an id twice, a patient on two sides."""
    if not records:
        return ["no cases; expected at least four patients, two to train and two to test"]
    problems = []
    counts = Counter(record.id for record in records)
    for case, count in counts.items():
        if count > 1:
            problems.append(f"case {case} is listed more than once; expected unique ids")
    sides: dict[str, set[str]] = {}
    for record in records:
        sides.setdefault(record.group, set()).add(_side_of(record))
    for group, names in sides.items():
        if len(names) > 1:
            both = " and ".join(sorted(names))
            problems.append(f"patient {group} is in {both}; expected each patient on one side")
    return problems


def _mild_problems(
    card: Card, records: Sequence[Record], classes: Sequence[ClassCount], empty: Sequence[str]
) -> list[str]:
    """What deserves a look but does not keep the data from being used."""
    problems = []
    if empty and not card.normals:
        problems.append(
            f"{len(empty)} cases have an empty mask ({', '.join(empty[:3])}), but the card says "
            "that there are no normal images; fix the masks, or set normals = true"
        )
    for class_count in classes:
        if not class_count.cases:
            problems.append(f"class '{class_count.name}' is in no case; expected it in some")
    sides = {record.split for record in records}
    if sides == {None}:
        return problems
    for side in ("train", "test"):
        if side not in sides:
            problems.append(f"the data's own split has no {side} case; expected some")
    return problems


def _empty_cases(card: Card, summaries: Sequence[CaseSummary]) -> list[str]:
    """The ids of cases with an empty mask; not of single slices, which may well have one."""
    empty = []
    for summary in summaries:
        is_whole = len(summary.shape) == card.ndim
        if is_whole and summary.areas is not None and not summary.areas[1:].any():
            empty.append(summary.record.id)
    return empty


def _side_of(record: Record) -> str:
    return record.split or "all"


def _count_splits(records: Sequence[Record]) -> list[SplitCount]:
    """Cases and groups of each side, in list order."""
    groups: dict[str, list[str]] = {}
    for record in records:
        groups.setdefault(_side_of(record), []).append(record.group)
    return [SplitCount(side, len(members), len(set(members))) for side, members in groups.items()]


def _count_classes(card: Card, summaries: Sequence[CaseSummary]) -> list[ClassCount]:
    """Cases and mean area of each class; nothing where no case has a mask."""
    areas = [summary.areas for summary in summaries if summary.areas is not None]
    if not areas:
        return []
    table = np.stack(areas)  # N K
    columns = zip(card.classes, (table > 0).sum(0), table.mean(0), strict=True)
    return [ClassCount(name, int(cases), float(area)) for name, cases, area in columns]


def _find_duplicates(
    summaries: Sequence[CaseSummary], dataset: Dataset
) -> tuple[int, list[Duplicate]]:
    """The number of look-alike pairs, and the pairs that their pixels confirm.

    Pairs are counted across the sides of the data's own split, or across patients without one.
    """
    if not summaries:
        return 0, []
    thumbnails = np.stack([summary.thumbnail for summary in summaries])
    names = _compared_names(summaries)
    sides = np.unique(names, return_inverse=True)[1]
    pairs = near_duplicates.alike_in_the_gross(thumbnails, thumbnails)
    in_order = pairs[:, 0] < pairs[:, 1]
    apart = sides[pairs[:, 0]] != sides[pairs[:, 1]]
    pairs = near_duplicates.alike_in_outline(pairs[in_order & apart], thumbnails, thumbnails)

    def read(position: int) -> NDArray[Any]:
        return dataset.read(summaries[position].record).image

    duplicates = []
    for a, b in near_duplicates.confirmed(pairs, read, read):
        first = summaries[a].record.id
        second = summaries[b].record.id
        duplicates.append(Duplicate(first, second, (names[a], names[b])))
    return len(pairs), duplicates


def _compared_names(summaries: Sequence[CaseSummary]) -> list[str]:
    """The side of each case where the data has its own split, else its patient."""
    if any(summary.record.split for summary in summaries):
        return [_side_of(summary.record) for summary in summaries]
    return [summary.record.group for summary in summaries]
