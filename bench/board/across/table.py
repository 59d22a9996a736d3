"""Gains and ranks of methods over the data sets of several boards (R4.10). Pure.

Each data set counts once, at its lowest label budget. A number that a board lacks is missing here
too: means are over the data sets that the compared methods have in common.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.board.schema import HEADLINE, Board, Row
from bench.names import DEFAULT, method_label

FEWEST_SETS = 3  # of a table and of an interval over data sets
FEWEST_COMPARED = 2  # methods, and the data sets that they have in common
Span = tuple[float, float] | None  # a 95% interval


@dataclass(frozen=True, slots=True)
class SetColumn:
    """One data set, at the budget that counts."""

    dataset: str
    title: str
    labelled: int
    shared: bool  # whether all compared methods have a number on it


@dataclass(frozen=True, slots=True)
class MethodLine:
    """One method over all data sets; None stands for a number that is missing."""

    name: str
    gains: tuple[float | None, ...]  # by data set; of the reference 0
    ranks: tuple[float | None, ...]  # among the compared methods, on the shared data sets
    compared: bool
    gain: float | None = None  # mean over the shared data sets
    gain_interval: Span = None
    rank: float | None = None
    rank_interval: Span = None


@dataclass(frozen=True, slots=True)
class AcrossTable:
    """The methods of one task that were measured against one reference."""

    task: str
    reference: str
    columns: tuple[SetColumn, ...]
    lines: tuple[MethodLine, ...]  # the compared methods by mean rank, then the others

    @property
    def shared(self) -> int:
        """Over how many data sets means are taken."""
        return sum(column.shared for column in self.columns)

    @property
    def compared(self) -> int:
        """How many methods are compared."""
        return sum(line.compared for line in self.lines)


@dataclass(frozen=True)
class _Measured:
    """What one board says at the lowest budget of one data set, by method."""

    dataset: str
    title: str
    labelled: int
    gains: Mapping[str, float]
    scores: Mapping[str, float]

    @property
    def gains_of_scored(self) -> dict[str, float]:
        """The gain of each method that has a score."""
        return {name: gain for name, gain in self.gains.items() if name in self.scores}


def across_tables(boards: Sequence[Board]) -> list[AcrossTable]:
    """A table for each task and reference that three or more data sets have numbers of.

    Of a data set that several boards hold, the one with the most methods counts, the first of
    equals.
    """
    measured: dict[tuple[str, str], dict[str, _Measured]] = {}
    for board in boards:
        for task in board.suite.tasks:
            for dataset in board.datasets:
                entry = _measure(board, task, dataset)
                if entry is None:
                    continue
                by_set = measured.setdefault((task, board.suite.reference), {})
                known = by_set.get(dataset)
                if known is None or len(entry.scores) > len(known.scores):
                    by_set[dataset] = entry
    tables = []
    for (task, reference), by_set in measured.items():
        if len(by_set) >= FEWEST_SETS:
            tables.append(_table(task, reference, list(by_set.values())))
    return tables


def _measure(board: Board, task: str, dataset: str) -> _Measured | None:
    """The gains and scores at the lowest budget that the reference has a number at."""
    rows = [row for row in board.rows if (row.task, row.dataset) == (task, dataset)]
    scored = [row for row in rows if row.metric == HEADLINE[task] and _counts(row)]
    reference = board.suite.reference
    budgets = [row.labelled for row in scored if _is_default(row, reference)]
    if not budgets:
        return None
    lowest = min(budgets)
    gains = {method_label(reference, DEFAULT): 0.0}
    for row in rows:
        is_gain = row.metric == "gain" and not _is_default(row, reference)
        if is_gain and row.labelled == lowest and _counts(row):
            assert row.mean is not None
            gains[method_label(row.method, row.variant)] = row.mean
    scores = {}
    for row in scored:
        label = method_label(row.method, row.variant)
        if row.labelled == lowest and label in gains and row.mean is not None:
            scores[label] = row.mean
    title = board.datasets[dataset].title
    return _Measured(dataset, title, lowest, gains, scores)


def _is_default(row: Row, method: str) -> bool:
    return (row.method, row.variant) == (method, DEFAULT)


def _counts(row: Row) -> bool:
    """Whether a number is complete, and its row is compared: not by a checkpoint of a list."""
    has_number = row.mean is not None and math.isfinite(row.mean)
    return has_number and row.status in ("ok", "failed") and "best on " not in row.variant


def _table(task: str, reference: str, measured: Sequence[_Measured]) -> AcrossTable:
    covered: dict[str, set[int]] = {}
    for place, entry in enumerate(measured):
        for name in entry.scores:
            covered.setdefault(name, set()).add(place)
    shared = shared_block(covered)
    compared = [name for name, own in covered.items() if shared and own >= shared]
    columns: list[SetColumn] = []
    ranks: list[dict[str, float]] = []
    for place, entry in enumerate(measured):
        is_shared = place in shared
        columns.append(SetColumn(entry.dataset, entry.title, entry.labelled, is_shared))
        ranks.append({})
        if is_shared:
            ranks[-1] = _ranks(entry, compared)
    lines = []
    for name in covered:
        gains = tuple(entry.gains_of_scored.get(name) for entry in measured)
        own_ranks = tuple(of_set.get(name) for of_set in ranks)
        lines.append(_line(name, gains, own_ranks, shared, name in compared))
    lines.sort(key=_by_rank)
    return AcrossTable(task, reference, tuple(columns), tuple(lines))


def _by_rank(line: MethodLine) -> tuple[bool, float, str]:
    return not line.compared, line.rank or 0.0, line.name


def shared_block(covered: Mapping[str, Set[int]]) -> Set[int]:
    """The data sets that the compared methods have in common; none where no two methods share two.

    Those of the block of methods and data sets, without a gap, that holds the most numbers; of
    equals the one with more data sets. `covered` are the data sets of each method.
    """
    covers = [frozenset(own) for own in covered.values()]
    blocks: dict[frozenset[int], int] = {}  # what some methods have in common -> numbers in it
    most = 0
    for cover in covers:
        for block in [cover, *(cover & other for other in blocks)]:
            # No part of a block holds more numbers than all methods have on all of it.
            is_small = len(block) < FEWEST_COMPARED or len(block) * len(covers) < most
            if block in blocks or is_small:
                continue
            methods = sum(own >= block for own in covers)
            blocks[block] = methods * len(block) if methods >= FEWEST_COMPARED else 0
            most = max(most, blocks[block])
    if not most:
        return frozenset()
    return max(blocks, key=lambda block: (blocks[block], len(block)))


def _ranks(entry: _Measured, compared: Sequence[str]) -> dict[str, float]:
    """The rank of each compared method by the headline; equal ones share the mean of theirs."""
    scores = [entry.scores[name] for name in compared]
    ranked = stats.rankdata([-score for score in scores])
    return dict(zip(compared, map(float, ranked), strict=True))


def _line(
    name: str,
    gains: tuple[float | None, ...],
    ranks: tuple[float | None, ...],
    shared: Set[int],
    compared: bool,
) -> MethodLine:
    if not compared:
        return MethodLine(name, gains, ranks, compared=False)
    own_gains = [gain for place, gain in enumerate(gains) if place in shared and gain is not None]
    own_ranks = [rank for rank in ranks if rank is not None]
    return MethodLine(
        name=name,
        gains=gains,
        ranks=ranks,
        compared=True,
        gain=float(np.mean(own_gains)),
        gain_interval=interval_over_sets(own_gains),
        rank=float(np.mean(own_ranks)),
        rank_interval=interval_over_sets(own_ranks),
    )


def interval_over_sets(values: Sequence[float]) -> Span:
    """mean +- t(n - 1) s / sqrt(n) over n data sets; None below three of them."""
    count = len(values)
    if count < FEWEST_SETS:
        return None
    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.975, count - 1) * np.std(values, ddof=1) / math.sqrt(count))
    return mean - half, mean + half
