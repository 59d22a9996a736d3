"""What is known of synthetic images (`judged.json`) -> rows of the board."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.board.rows import (
    RowCells,
    empty_row,
    seed_name,
    status_of,
    with_rank,
)
from bench.board.schema import ColumnFacts, Row, SyntheticImages
from bench.board.shared_draws import Budget
from bench.cell_records import CopyCounts, Distance, Judgement
from bench.stats import intervals
from bench.stats.ranking import RankDistribution, rank_distributions


@dataclass(frozen=True, slots=True)
class Measured:
    """One number of the images of a cell, or the reason why there is none."""

    value: float | None
    extractor: str
    n: int | None = None  # images
    floor: float | None = None  # distance between two sets of real images
    reason: str | None = None


BySubset = Mapping[int, Measured]


def distance_rows(budget: Budget, column: ColumnFacts, reference: str) -> list[Row]:
    """Rows of the generators at one budget."""
    rows = []
    for cells in budget.rows:
        if cells.generator and not cells.selected:
            rows.append(_row(cells, column, _measured(cells, column.key)))
    return _with_content(rows)


def kid_rows(budget: Budget, column: ColumnFacts, reference: str) -> list[Row]:
    """Rows of KID, which alone is ranked, being unbiased, over the subsets that all have."""
    generators = [cells for cells in budget.rows if cells.generator and not cells.selected]
    measured = [_measured(cells, column.key) for cells in generators]
    ranks = _rank(generators, measured)
    rows = []
    for cells, values in zip(generators, measured, strict=True):
        rows.append(with_rank(_row(cells, column, values), ranks.get(seed_name(cells.row))))
    return _with_content(rows)


def healthy_distance_rows(budget: Budget, column: ColumnFacts, reference: str) -> list[Row]:
    """Rows of methods that take lesions out: how far their images are from healthy ones."""
    rows = []
    for cells in budget.rows:
        if cells.pseudo_healthy and not cells.selected:
            rows.append(_row(cells, column, _measured(cells, column.key)))
    return _with_content(rows)


def value_of_each_draw(cells: RowCells, metric: str) -> dict[int, float]:
    """What the images of each draw measure; nothing where a draw has no number."""
    values = {}
    for subset, measured in _measured(cells, metric).items():
        if measured.value is not None:
            values[subset] = measured.value
    return values


def _with_content(rows: Sequence[Row]) -> list[Row]:
    """Without the rows of a metric that nobody asked for."""
    return [row for row in rows if row.mean is not None or row.reason]


def _rank(
    generators: Sequence[RowCells], measured: Sequence[BySubset]
) -> dict[str, RankDistribution]:
    whole = {}
    for cells, values in zip(generators, measured, strict=True):
        if _numbers(values) is not None and not cells.failures:
            whole[seed_name(cells.row)] = values
    if not whole:
        return {}
    subsets = [set(values) for values in whole.values()]
    shared = sorted(set.intersection(*subsets))
    if not shared:
        return {}
    tables = {}
    for name, values in whole.items():
        numbers = [values[subset].value for subset in shared]
        tables[name] = np.array(numbers, np.float64)[:, None]  # draws stand in for patients
    return rank_distributions(tables, False)


def _measured(cells: RowCells, metric: str) -> BySubset:
    """The number of each subset that was judged by this metric."""
    measured = {}
    for subset, judgement in sorted(cells.judgements.items()):
        entries = list(_entries(judgement, metric))
        numbers = [entry for entry in entries if entry.reason is None]
        if entries:
            measured[subset] = (numbers or entries)[0]
    return measured


def _entries(judgement: Judgement, metric: str) -> Iterator[Measured]:
    """What a judgement holds of a metric, once for each extractor."""
    if metric == "copy_rate":
        if judgement.copies is not None:
            yield _copy_rate(judgement.copies, judgement.made)
    elif metric == "fd_normal":
        for distance in judgement.normal:
            yield _healthy_distance(distance)
    else:
        for distance in judgement.distances:
            if metric == distance.metric:
                yield _distance(distance, judgement)
            elif metric == "kid":
                yield _kid(distance, judgement)


def _copy_rate(copies: CopyCounts, made: int) -> Measured:
    rate, _, _ = copies.rate
    floor = None
    if copies.rate_of_test is not None:
        floor, _, _ = copies.rate_of_test
    return Measured(rate, copies.extractor, made, floor)


def _healthy_distance(distance: Distance) -> Measured:
    return Measured(
        distance.distance, distance.extractor, distance.n, distance.floor, distance.reason
    )


def _distance(distance: Distance, judgement: Judgement) -> Measured:
    if distance.reason is not None:
        return Measured(None, distance.extractor, reason=distance.reason)
    return Measured(distance.distance, distance.extractor, judgement.n, distance.floor)


def _kid(distance: Distance, judgement: Judgement) -> Measured:
    if distance.reason is not None:
        return Measured(None, distance.extractor, reason=distance.reason)
    return Measured(distance.kid, distance.extractor, judgement.made)


def _numbers(measured: BySubset) -> NDArray[np.float64] | None:
    """The number of each subset; None unless every one has it."""
    values = [entry.value for entry in measured.values()]
    if not values or None in values:
        return None
    return np.array(values, np.float64)


def _row(cells: RowCells, column: ColumnFacts, measured: BySubset) -> Row:
    """The row of a generator; without number and reason where nobody asked for this metric."""
    status, reason = status_of(cells, column, True)
    if cells.failures:
        count = f"{len(cells.failures)} of {len(cells.states)} runs failed"
        reason = f"{count} and are left out: {cells.failures[0]}"
    row = empty_row(cells, column, status, reason)
    numbers = _numbers(measured)
    if numbers is None:
        return _without_number(row, cells, measured)
    interval = intervals.interval_over_subsets(_of_folds(measured, numbers, cells.folds))
    first = next(iter(measured.values()))
    return replace(
        row,
        mean=interval.mean,
        lo=interval.lo,
        hi=interval.hi,
        interval=interval.kind,
        n_cases=first.n or 0,
        n_subsets=len(numbers),
        extractor=first.extractor,
        n=first.n,
        floor=_mean_floor(measured),
    )


def _of_folds(measured: BySubset, numbers: NDArray[np.float64], folds: int) -> NDArray[np.float64]:
    """The mean of each outer fold, whose draws share their test images; else all numbers."""
    if folds == 1:
        return numbers
    fold_of = np.array(list(measured)) % folds
    return np.array([numbers[fold_of == fold].mean() for fold in np.unique(fold_of)])


def _mean_floor(measured: BySubset) -> float | None:
    floors = [entry.floor for entry in measured.values() if entry.floor is not None]
    return float(np.mean(floors)) if floors else None


def _without_number(row: Row, cells: RowCells, measured: BySubset) -> Row:
    for entry in measured.values():
        if entry.reason is not None:
            return replace(row, status="missing", reason=entry.reason, extractor=entry.extractor)
    if cells.judgements or row.status != "ok":
        return row
    return replace(row, status="missing", reason="its images are not judged yet; run 'report'")


def describe_images(cells: RowCells) -> Iterator[SyntheticImages]:
    """What is known of the images of each cell: distances, copies, masks, training curves."""
    if not cells.generator:
        return
    for subset, judgement in sorted(cells.judgements.items()):
        copies = judgement.copies
        if copies is not None:
            copies = replace(copies, pairs=[])
        yield SyntheticImages(
            task=cells.row.task,
            dataset=cells.row.dataset,
            labelled=cells.row.labelled,
            fraction=cells.fraction,
            method=cells.row.method,
            variant=cells.row.variant,
            subset=subset,
            n=judgement.n,
            made=judgement.made,
            real=judgement.real,
            distances=judgement.distances,
            copies=copies,
            masks=judgement.masks,
            agreement=judgement.agreement,
            facts=cells.facts[subset],
            curves=judgement.curves,
        )
