"""What changed between two result folders: rows, scores, ranks, settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from bench.board.schema import HEADLINE, TASKS, Board, ColumnFacts, Row
from bench.diff.gaps import WHOLE_SET as WHOLE_SET
from bench.diff.gaps import PairedScores, find_gaps
from bench.diff.settings import SettingChange, setting_changes
from bench.names import RowId, row_label
from bench.planning.cells import PlannedCell, reference_models
from bench.stats.intervals import Interval
from bench.verify.mismatch import is_same

# Subset -> patient -> score; numbers of synthetic images have one nameless patient.
Table = Mapping[int, Mapping[str, float]]
# Fields of a key that are no cause of a change: rows are paired by subset, and another split,
# other data or another protocol is an alarm.
NO_CAUSE = frozenset({"subset", "split", "data", "protocol"})
JUDGED = frozenset({"healthiness", "healthiness_dice", "harmonic"})  # by the reference model
NEED_EQUAL_COUNTS = frozenset({"fid", "fid_tf1", "fd", "fd_normal"})  # their bias depends on it
NOT_COMPARABLE = "not comparable: "


@dataclass(frozen=True)
class Side:
    """One of the two folders."""

    folder: str
    board: Board
    settings: Mapping[str, Any]  # of the suite, and the versions that it ran on
    cells: Sequence[PlannedCell]
    tables: Mapping[tuple[RowId, str], Table]
    # The outer fold of each patient of a row; empty without outer folds.
    folds: Mapping[RowId, Mapping[str, int]] = field(default_factory=dict)


class CellCounts(NamedTuple):
    """How many cells are in both folders, in A only and in B only."""

    shared: int
    before_only: int
    after_only: int


@dataclass(frozen=True, slots=True)
class Change:
    """One number of both boards, with the paired difference B - A if they can be compared."""

    before: Row
    after: Row
    column: ColumnFacts
    gap: Interval | None
    # The interval behind the verdict, adjusted for all changes of the metric at the budget; None
    # where nothing is tested.
    adjusted: tuple[float, float] | None
    patients: int  # behind the gap, like the subsets
    subsets: int  # with outer folds, those of each fold
    why: str  # why there is no gap, or a gap without an interval or a verdict
    folds: int  # outer folds behind the gap; 1 without them
    causes: tuple[str, ...]  # what differs in the settings or code of the cells

    @property
    def is_comparable(self) -> bool:
        """Whether a difference between the two numbers means anything."""
        return not self.why.startswith(NOT_COMPARABLE)

    @property
    def verdict(self) -> str:
        """better, worse, or within its adjusted interval; empty where nothing is tested."""
        if self.adjusted is None:
            return ""
        lo, hi = self.adjusted
        if lo <= 0 <= hi:
            return "within its interval"
        rises = lo > 0
        return "better" if rises == (self.column.better == "higher") else "worse"

    @property
    def may_be_equal(self) -> bool:
        """Whether the interval of this change alone holds 0."""
        if self.gap is None or self.gap.lo is None or self.gap.hi is None:
            return False
        return self.gap.lo <= 0 <= self.gap.hi

    @property
    def lower(self) -> bool:
        """Whether B is worse than A, even if only by noise."""
        if self.before.mean is None or self.after.mean is None:
            return False
        change = self.gap.mean if self.gap else self.after.mean - self.before.mean
        return change < 0 if self.column.better == "higher" else change > 0


@dataclass(frozen=True)
class Difference:
    """Two boards side by side; rows that came or went are shown by their headline metric."""

    before: Side
    after: Side
    alarms: list[str]  # why numbers cannot be compared; come first, in red
    settings: list[SettingChange]
    cells: CellCounts
    removed: list[Row]
    added: list[Row]
    changed: list[Change]
    moved: list[Change]  # other ranks by the headline metric
    equal: int  # numbers that did not change
    drops: list[str]

    @property
    def has_nothing_comparable(self) -> bool:
        """Whether no number of one folder can be compared with any of the other."""
        return not self.equal and not any(change.is_comparable for change in self.changed)

    def column(self, metric: str) -> ColumnFacts:
        """What is known of a metric of either board."""
        return _columns(self.before, self.after)[metric]


def compare(before: Side, after: Side) -> Difference:
    """All differences from one folder to another."""
    alarms, barred = _find_alarms(before, after)
    settings = setting_changes(before.settings, after.settings)
    shared = _pair_numbers(before, after, barred, settings)
    changed = [change for change in shared if not _is_equal(change.before, change.after)]
    headlines = [change for change in shared if _is_headline(change.after)]
    changed_headlines = [change for change in changed if _is_headline(change.after)]
    lost = _headlines_missing_in(after, before)
    gained = _headlines_missing_in(before, after)
    columns = _columns(before, after)
    return Difference(
        before=before,
        after=after,
        alarms=alarms,
        settings=settings,
        cells=_count_cells(before, after),
        removed=sorted(lost, key=lambda row: _position(row, columns)),
        added=sorted(gained, key=lambda row: _position(row, columns)),
        changed=changed,
        moved=[change for change in headlines if _has_moved(change)],
        equal=len(shared) - len(changed),
        drops=_find_drops(changed_headlines, lost, alarms),
    )


def _numbers(side: Side) -> dict[tuple[RowId, str], Row]:
    return {(row.row_id, row.metric): row for row in side.board.rows}


def _pair_numbers(
    before: Side,
    after: Side,
    barred: Mapping[str, str],
    settings: Sequence[SettingChange],
) -> list[Change]:
    """Each number of both boards, in reading order."""
    columns = _columns(before, after)
    old_numbers = _numbers(before)
    new_numbers = _numbers(after)
    paired = {}
    for key, new in new_numbers.items():
        if key in old_numbers:
            barrier = barred.get(new.dataset)
            paired[key] = _pair_scores(before, after, old_numbers[key], new, barrier)
    gaps = find_gaps(paired)
    causes: dict[RowId, tuple[str, ...]] = {}
    changes = []
    for key in paired:
        row, metric = key
        if row not in causes:
            causes[row] = _find_causes(before, after, row, settings)
        old, new = old_numbers[key], new_numbers[key]
        changes.append(Change(old, new, columns[metric], *gaps[key], causes[row]))
    return sorted(changes, key=lambda change: _position(change.after, columns))


def _headlines_missing_in(other: Side, side: Side) -> list[Row]:
    """The headline rows of a side that the other lacks."""
    known = _numbers(other)
    rows = [row for key, row in _numbers(side).items() if key not in known]
    return [row for row in rows if _is_headline(row)]


def _columns(before: Side, after: Side) -> dict[str, ColumnFacts]:
    """The columns of both boards by metric, in reading order."""
    columns = {column.key: column for column in after.board.columns}
    for column in before.board.columns:
        columns.setdefault(column.key, column)
    return columns


def _count_cells(before: Side, after: Side) -> CellCounts:
    old = {cell.key for cell in before.cells}
    new = {cell.key for cell in after.cells}
    return CellCounts(len(old & new), len(old - new), len(new - old))


def _find_alarms(before: Side, after: Side) -> tuple[list[str], dict[str, str]]:
    """What forbids a comparison, in words; and for each data set that it concerns, why."""
    alarms: list[str] = []
    barred: dict[str, str] = {}
    shared = [name for name in after.board.datasets if name in before.board.datasets]
    for name in shared:
        old_cells = [cell for cell in before.cells if cell.dataset == name]
        new_cells = [cell for cell in after.cells if cell.dataset == name]
        subsets = _subsets_split_otherwise(old_cells, new_cells)
        if subsets:
            barred[name] = "the splits differ"
            numbers = ", ".join(map(str, subsets))
            alarms.append(f"the split of {name} differs in subset {numbers}")
        old_data = {cell.data for cell in old_cells}
        new_data = {cell.data for cell in new_cells}
        if old_data != new_data:
            barred[name] = "the data differ"
            hashes = f"{_short_hashes(old_data)} in A, {_short_hashes(new_data)} in B"
            alarms.append(f"the images or masks of {name} differ: {hashes}")
    old_versions = _protocol_versions(before)
    new_versions = _protocol_versions(after)
    if old_versions != new_versions:
        barred = dict.fromkeys(shared, "the protocols differ")
        alarms.insert(0, f"protocol version {old_versions} in A, {new_versions} in B")
    return alarms, barred


def _subsets_split_otherwise(
    before: Sequence[PlannedCell], after: Sequence[PlannedCell]
) -> list[int]:
    """The subsets of both sides whose splits differ."""
    old = {cell.subset: cell.split for cell in before}
    new = {cell.subset: cell.split for cell in after}
    return [subset for subset in sorted(old.keys() & new.keys()) if old[subset] != new[subset]]


def _short_hashes(hashes: set[str]) -> str:
    return ", ".join(sorted(text[:12] for text in hashes))


def _protocol_versions(side: Side) -> str:
    return ", ".join(sorted({cell.protocol for cell in side.cells}))


def _pair_scores(before: Side, after: Side, old: Row, new: Row, barred: str | None) -> PairedScores:
    """B - A over the subsets and patients that both have; `barred` says why not."""
    obstacle = barred or _find_obstacle(before, after, old, new)
    if obstacle:
        return PairedScores(None, why=f"{NOT_COMPARABLE}{obstacle}")
    old_table = before.tables.get((new.row_id, new.metric), {})
    new_table = after.tables.get((new.row_id, new.metric), {})
    subsets = sorted(old_table.keys() & new_table.keys())
    patients = _shared_patients([table[j] for table in (old_table, new_table) for j in subsets])
    if not patients:
        return PairedScores(None, why=_why_no_pairs(old, new))
    matrix = np.empty((len(patients), len(subsets)))
    for column, subset in enumerate(subsets):
        for line, patient in enumerate(patients):
            matrix[line, column] = new_table[subset][patient] - old_table[subset][patient]
    is_pooled = "failed" not in (old.status, new.status)
    fold_of = after.folds.get(new.row_id)
    folds = None
    if fold_of is not None:
        folds = tuple(fold_of[patient] for patient in patients)
    return PairedScores(matrix, tuple(patients), tuple(subsets), "", is_pooled, folds)


def _shared_patients(scores: Sequence[Mapping[str, float]]) -> list[str]:
    """The patients that all tables score, sorted."""
    if not scores:
        return []
    return sorted(set.intersection(*map(set, scores)))


def _why_no_pairs(old: Row, new: Row) -> str:
    for side, row in (("A", old), ("B", new)):
        if row.mean is None:
            return f"no number in {side} ({row.status.replace('_', ' ')})"
    return "no label subset in common"


def _find_obstacle(before: Side, after: Side, old: Row, new: Row) -> str:
    """Why one metric cannot be compared though data and split are the same; empty if it can."""
    tolerances = [side.settings.get("nsd_tolerance") for side in (before, after)]
    if new.metric == "nsd" and tolerances[0] != tolerances[1]:
        return "the tolerances differ"
    if old.extractor != new.extractor:
        return f"the features differ ({old.extractor}, {new.extractor})"
    if new.metric in NEED_EQUAL_COUNTS and old.n != new.n:
        return f"the numbers of images differ ({old.n}, {new.n})"
    is_judged = new.extractor == "task" or new.metric in JUDGED
    if is_judged and _reference_keys(before, new) != _reference_keys(after, new):
        return "the reference models differ, and with them what they see"
    return ""


def _reference_keys(side: Side, row: Row) -> set[str]:
    """The key of the reference model of a row's task and data set."""
    suite = side.board.suite
    folds = suite.outer_folds or 1
    models = reference_models(side.cells, row.task, row.dataset, suite.reference, folds)
    return {model.key for model in models}


def _find_causes(
    before: Side, after: Side, row: RowId, suite_changes: Sequence[SettingChange]
) -> tuple[str, ...]:
    """What differs between the cells of a row, by the first subset that both sides have.

    What differs between the suites is left out, and so are labels, which are no part of a key.
    """
    old = {cell.subset: cell for cell in before.cells if cell.row == row}
    new = {cell.subset: cell for cell in after.cells if cell.row == row}
    first = min(old.keys() & new.keys(), default=None)
    if first is None or old[first].key == new[first].key:
        return ()
    causes = []
    for change in setting_changes(_what_decides(old[first]), _what_decides(new[first])):
        if change in suite_changes:
            continue
        text = f"{change.name} {change.before} -> {change.after}"
        if change.name == "code":
            text = "code"  # its hashes say nothing to a reader
        causes.append(text)
    return tuple(causes)


def _what_decides(cell: PlannedCell) -> dict[str, Any]:
    """What can be the cause of another result."""
    return {name: value for name, value in cell.identity().items() if name not in NO_CAUSE}


def _find_drops(
    headlines: Sequence[Change], lost: Sequence[Row], alarms: Sequence[str]
) -> list[str]:
    """Headline scores that fell beyond their interval, or for which this cannot be ruled out.

    Where nothing is tested, the interval of the change alone decides.
    """
    drops = [f"nothing can be concluded: {alarm}" for alarm in alarms]
    for change in headlines:
        row = f"{row_label(change.after.row_id)}: {change.after.metric}"
        if change.verdict == "worse":
            drops.append(f"{row} fell beyond its interval")
        elif change.before.mean is not None and change.after.mean is None:
            drops.append(f"{row} is gone ({change.after.status.replace('_', ' ')})")
        elif change.before.status == "ok" and change.after.status == "failed":
            drops.append(f"{row} has failed ({change.after.reason})")
        elif change.lower and not change.verdict and not change.may_be_equal and not alarms:
            drops.append(f"{row} is lower, {change.why}")
    gone = [row_label(row.row_id) for row in lost if row.mean is not None]
    return drops + [f"{row}: its row is gone" for row in gone]


def _is_equal(old: Row, new: Row) -> bool:
    pairs = ((old.mean, new.mean), (old.lo, new.lo), (old.hi, new.hi), (old.status, new.status))
    return all(is_same(one, other) for one, other in pairs)


def _has_moved(change: Change) -> bool:
    old = (change.before.rank_lo, change.before.rank_hi)
    return old != (change.after.rank_lo, change.after.rank_hi)


def _is_headline(row: Row) -> bool:
    return row.metric == HEADLINE[row.task]


def _position(row: Row, columns: Mapping[str, ColumnFacts]) -> tuple[Any, ...]:
    """Where a row stands in a sorted list."""
    metric = list(columns).index(row.metric)
    where = (TASKS.index(row.task), row.dataset, row.labelled)
    return (*where, row.method, row.variant, metric)
