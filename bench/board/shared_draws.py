"""The methods of one budget with the draws that they share, for differences between them (R4.1b).

Rows that lag behind most others are left out: they would take draws from all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from bench.board.rows import (
    RowCells,
    find_reference,
    folds_of_patients,
    matrix_of,
    seed_name,
    shared_subsets,
)
from bench.names import DEFAULT, TUNED, RowId
from bench.stats.intervals import Folds, fold_count
from bench.stats.ranking import RankDistribution, rank_distributions
from bench.stats.shared_variance import MethodTable, SharedVariance, share_variance
from bench.stats.verdicts import Gain, gains_over_references

Matrix = NDArray[np.float64]  # patients x draws


@dataclass(frozen=True)
class SharedDraws:
    """Methods of one budget by seed name, their scores over the same draws, and those draws."""

    rows: Mapping[str, RowCells]
    tables: Mapping[str, Matrix]
    subsets: Sequence[int]
    metric: str = "dice"
    higher_is_better: bool = True

    @cached_property
    def shared(self) -> SharedVariance:
        """What the methods tell together about draws."""
        return share_tables(self.rows, self.tables, self.folds)

    @cached_property
    def folds(self) -> Folds:
        """The outer fold of each patient; None without outer folds."""
        return folds_of_patients(next(iter(self.rows.values())), self.metric)

    @cached_property
    def ranks(self) -> dict[str, RankDistribution]:
        """The ranks of the methods."""
        return rank_distributions(self.tables, self.higher_is_better, self.shared)


@dataclass(frozen=True, eq=False)
class Budget:
    """The rows of one task, data set and number of labels; what they share is worked out once."""

    rows: Sequence[RowCells]
    _draws: dict[str, SharedDraws] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """The task of all rows."""
        return self.rows[0].row.task

    def draws(self, metric: str, higher_is_better: bool = True) -> SharedDraws:
        """The rows that can be compared by a metric; maybe none."""
        if metric not in self._draws:
            self._draws[metric] = draws_of_all(self.rows, metric, higher_is_better)
        return self._draws[metric]


@dataclass(frozen=True)
class PairedGain:
    """The paired differences of a row to its reference, and what is known of their mean.

    `is_tested` is False where the row is not compared with the others of its budget, as it has
    other draws: its gain is then known, without a verdict.
    """

    differences: Matrix
    gain: Gain
    subsets: Sequence[int]  # the draws that both have
    is_tested: bool
    folds: Folds = None  # the outer fold of each patient

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of patients and of draws, those of all outer folds together."""
        patients, draws = self.differences.shape
        return patients, draws * fold_count(self.folds)

    def means_of_subsets(self, folds: int) -> dict[int, float]:
        """The mean difference of each subset; there are as many as folds to each draw.

        A fold without a patient that the metric is defined for has none.
        """
        return means_of_subsets(self.differences, self.subsets, self.folds, folds)


def means_of_subsets(
    scores: Matrix, draws: Sequence[int], folds: Folds, count: int
) -> dict[int, float]:
    """The mean of each subset of scores (patients x draws), of which each of `count` folds has one.

    A fold without a patient that the metric is defined for has none.
    """
    if folds is None:
        return dict(zip(draws, scores.mean(0).tolist(), strict=True))
    means = {}
    for column, draw in enumerate(draws):
        for fold in np.unique(folds):
            subset = draw * count + int(fold)
            means[subset] = float(scores[folds == fold, column].mean())
    return means


def rows_to_compare(rows: Sequence[RowCells]) -> list[RowCells]:
    """The rows with scores of the draws that two thirds of all rows with scores have, or of more.

    While a draw fills up, all rows are thus compared over those before it, until most have the new
    one. A row that is added to a finished board stays out until it has caught up.
    """
    scored = [cells for cells in rows if cells.scores and not cells.selected]
    counts = sorted((len(cells.scores) for cells in scored), reverse=True)
    needed = counts[ceil(2 * len(counts) / 3) - 1] if counts else 0
    return [cells for cells in scored if len(cells.scores) >= needed]


def draws_of_all(
    rows: Sequence[RowCells], metric: str, higher_is_better: bool = True
) -> SharedDraws:
    """The rows of one budget that can be compared by a metric; maybe none."""
    defined = [cells for cells in rows if _is_defined(cells, metric)]
    compared = rows_to_compare(defined)
    subsets = shared_subsets(compared)
    tables = {}
    for cells in compared:
        table = matrix_of(cells, metric, subsets)
        if table is not None:
            tables[seed_name(cells.row)] = table
    by_name = {seed_name(cells.row): cells for cells in compared}
    compared_rows = {name: by_name[name] for name in tables}
    return SharedDraws(compared_rows, tables, subsets, metric, higher_is_better)


def _is_defined(cells: RowCells, metric: str) -> bool:
    if not cells.scores:
        return False
    return matrix_of(cells, metric, sorted(cells.scores)) is not None


def share_tables(
    rows: Mapping[str, RowCells], tables: Mapping[str, Matrix], folds: Folds = None
) -> SharedVariance:
    """Pools the draw variance of tables by seed name; `folds` are the outer ones of patients.

    Scores of failed cells count as worst and stay out of the pool.
    """
    methods = []
    for name, table in tables.items():
        cells = rows[name]
        twin_of = _default_name(cells, tables)
        methods.append(replace(method_table(name, table, cells, twin_of), folds=folds))
    return share_variance(methods)


def method_table(label: str, table: Matrix, cells: RowCells, twin_of: str | None) -> MethodTable:
    """The scores of a row, pooled unless any of its cells failed."""
    is_pooled = not (cells.failures or cells.unusable)
    return MethodTable(label, table, pooled=is_pooled, twin_of=twin_of)


def _default_name(cells: RowCells, tables: Mapping[str, Matrix]) -> str | None:
    """The seed name of the row with defaults that a tuned row belongs to, if it has scores."""
    if cells.row.variant != TUNED:
        return None
    name = seed_name(cells.row._replace(variant=DEFAULT))
    return name if name in tables else None


def find_bases(budget: Budget, reference: str) -> dict[RowId, RowCells]:
    """The row of its budget that each row's gain is measured from."""
    bases = {}
    for cells in budget.rows:
        base = find_reference(cells, budget.rows, reference)
        if not cells.selected and base is not None and base is not cells:
            bases[cells.row] = base
    return bases


def paired_gains(
    budget: Budget,
    bases: Mapping[RowId, RowCells],
    metric: str,
    higher_is_better: bool,
) -> dict[RowId, PairedGain]:
    """The gain in a metric of each row that has scores, by one adjustment for all planned ones.

    In the unit of the metric: negative is better where lower scores are.
    """
    draws = budget.draws(metric, higher_is_better)
    references = {}
    gains = {}
    for cells in budget.rows:
        base = bases.get(cells.row)
        if base is None:
            continue
        name, base_name = seed_name(cells.row), seed_name(base.row)
        if {name, base_name} <= draws.tables.keys():
            references[name] = base_name
        else:
            subsets = shared_subsets([cells, base])
            own = matrix_of(cells, metric, subsets)
            other = matrix_of(base, metric, subsets)
            if own is not None and other is not None:
                folds = folds_of_patients(cells, metric)
                gains[cells.row] = untested_gain(own, other, subsets, higher_is_better, folds)
    if references:
        to_come = count_gains_to_come(budget, bases, references.keys())
        gains.update(_tested_gains(draws, references, higher_is_better, to_come))
    return gains


def count_gains_to_come(
    budget: Budget, bases: Mapping[RowId, RowCells], tested: Collection[str]
) -> int:
    """The planned gains that cannot be tested yet, as runs of a row or its base are missing."""
    count = 0
    for cells in budget.rows:
        base = bases.get(cells.row)
        if base is None or cells.refusal or seed_name(cells.row) in tested:
            continue
        count += _has_runs_to_come(cells) or _has_runs_to_come(base)
    return count


def _has_runs_to_come(cells: RowCells) -> bool:
    return len(cells.scores) < cells.draws


def _tested_gains(
    draws: SharedDraws, references: Mapping[str, str], higher_is_better: bool, to_come: int
) -> dict[RowId, PairedGain]:
    by_name = gains_over_references(draws.shared, references, higher_is_better, to_come)
    gains = {}
    for name, gain in by_name.items():
        differences = draws.tables[name] - draws.tables[gain.reference]
        gains[draws.rows[name].row] = PairedGain(
            differences, gain, draws.subsets, True, draws.folds
        )
    return gains


def untested_gain(
    own: Matrix,
    other: Matrix,
    subsets: Sequence[int],
    higher_is_better: bool,
    folds: Folds = None,
) -> PairedGain:
    """A gain that is known from the two methods alone."""
    tables = {"own": own, "other": other}
    pair = share_variance([MethodTable(name, table, folds=folds) for name, table in tables.items()])
    gain = gains_over_references(pair, {"own": "other"}, higher_is_better)["own"]
    return PairedGain(own - other, gain, subsets, False, folds)
