"""What is known of the differences between two folders: intervals, and those of verdicts. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.names import RowId
from bench.stats import intervals
from bench.stats.intervals import Interval
from bench.stats.shared_variance import Difference, differences_without_common_method
from bench.stats.verdicts import adjusted_level

NumberKey = tuple[RowId, str]  # of a metric
WHOLE_SET = ""  # the nameless patient
NOT_TESTED = "too few draws for a verdict"


@dataclass(frozen=True)
class PairedScores:
    """B - A of one number over the patients and draws that both have, or why there is none."""

    matrix: NDArray[np.float64] | None  # patients x subsets
    patients: tuple[str, ...] = ()
    subsets: tuple[int, ...] = ()
    why: str = ""
    is_pooled: bool = True  # whether it tells about draws: no score counts as worst
    folds: tuple[int, ...] | None = None  # the outer fold of each patient


class Gap(NamedTuple):
    """The paired difference of two numbers, or why there is none; see bench.diff.compare.Change."""

    interval: Interval | None
    adjusted: tuple[float, float] | None
    patients: int
    subsets: int  # with outer folds, those of each fold
    why: str
    folds: int = 1


@dataclass(frozen=True)
class _Family:
    """Differences whose draw variance was shared, or one that stands alone.

    Rows that changed alike have one difference, and one name in the mappings.
    """

    tables: Mapping[str, NDArray[np.float64]]  # patients x draws; one row for a whole set
    differences: Mapping[str, Difference]
    name_of: Mapping[NumberKey, str]
    folds: int = 1

    @property
    def budget(self) -> Hashable:
        """The budget and metric, at which all verdicts are adjusted together."""
        row, metric = next(iter(self.name_of))
        return row.budget, metric

    @property
    def tested(self) -> int:
        """How many different changes are tested; a row that did not change needs no test."""
        changed = [name for name, table in self.tables.items() if table.any()]
        return sum(self.differences[name].tested for name in changed)


def find_gaps(paired: Mapping[NumberKey, PairedScores]) -> dict[NumberKey, Gap]:
    """The gap of each number; those of one metric at one budget share their draw variance.

    Verdicts on these are adjusted for all of them, as those of gains on a leaderboard are. Gains
    have their reference in common: where it changed too, their pool is less certain than its
    degrees of freedom say.
    """
    gaps = {}
    together: dict[Hashable, dict[NumberKey, PairedScores]] = defaultdict(dict)
    families = []
    for key, scores in paired.items():
        row, metric = key
        if scores.matrix is None:
            gaps[key] = Gap(None, None, 0, 0, scores.why)
        elif scores.patients == (WHOLE_SET,):
            families.append(_family_of_set(key, scores.matrix))
        elif scores.is_pooled:
            alike = (row.budget, metric, scores.patients, scores.subsets, scores.folds)
            together[alike][key] = scores
        else:
            together[key][key] = scores
    families += [_family_of_rows(rows) for rows in together.values()]
    tested: dict[Hashable, int] = defaultdict(int)
    for family in families:
        tested[family.budget] += family.tested
    for family in families:
        gaps.update(_gaps_of(family, tested[family.budget]))
    return gaps


def _family_of_set(key: NumberKey, matrix: NDArray[np.float64]) -> _Family:
    """A number of whole sets (1 x s), which has no patients: a t interval over draws (R4.2c)."""
    values = matrix[0]
    error: float | None = None
    freedom: float | None = None
    is_tested = intervals.has_interval_of_mean(len(values))
    if is_tested:
        error, freedom = intervals.standard_error(values[:, None])
    difference = Difference(float(values.mean()), error, freedom, is_tested)
    return _Family({WHOLE_SET: matrix}, {WHOLE_SET: difference}, {key: WHOLE_SET})


def _family_of_rows(rows: Mapping[NumberKey, PairedScores]) -> _Family:
    tables: dict[str, NDArray[np.float64]] = {}
    names: dict[bytes, str] = {}
    name_of = {}
    for key, scores in rows.items():
        assert scores.matrix is not None  # else it has no gap
        row, metric = key
        name = names.setdefault(scores.matrix.tobytes(), "\n".join(map(str, (*row, metric))))
        tables[name] = scores.matrix
        name_of[key] = name
    of_patients = next(iter(rows.values())).folds
    folds = None if of_patients is None else np.array(of_patients, np.intp)
    differences = differences_without_common_method(tables, folds)
    return _Family(tables, differences, name_of, intervals.fold_count(folds))


def _gaps_of(family: _Family, comparisons: int) -> dict[NumberKey, Gap]:
    """The gaps of a family; `comparisons` is how many changes are tested at its budget."""
    gaps = {}
    for key, name in family.name_of.items():
        patients, subsets = family.tables[name].shape
        difference = family.differences[name]
        lo, hi = difference.interval() or (None, None)
        draws = subsets * family.folds
        kind = intervals.kind_of_difference(patients, draws, difference.tested)
        why = "one patient gives no interval" if not kind else NOT_TESTED
        if name == WHOLE_SET:
            patients = 0
            kind = "subsets only" if difference.tested else intervals.FEW_DRAWS
            why = "fewer than 5 draws give no interval"
        adjusted = None
        if difference.tested and difference.error is not None:
            adjusted = difference.interval(adjusted_level(comparisons))
            why = ""
        interval = Interval(difference.mean, lo, hi, kind)
        gaps[key] = Gap(interval, adjusted, patients, subsets, why, family.folds)
    return gaps
