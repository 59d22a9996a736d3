"""What changed between two result folders: rows, scores with paired intervals, ranks, settings. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.board.schema import COLUMNS, HEADLINE, TASKS, Board, Row
from bench.execution.driver import place
from bench.stats import intervals
from bench.stats.intervals import Interval
from bench.verify.mismatch import same

Identity = tuple[str, str, int, str, str]  # task, dataset, labelled, method, variant
Table = Mapping[
    int, Mapping[str, float]
]  # subset -> patient -> score; one nameless patient for synthetic images
NO_IDENTITY = frozenset(
    {"key", "fraction", "variant", "refusal", "generator", "split", "data", "protocol", "subset"}
)
COLUMN = {column.key: column for column in COLUMNS}


@dataclass(frozen=True)
class Side:
    """One of the two folders."""

    place: str
    board: Board
    settings: Mapping[str, Any]  # of the suite, and what it ran on
    cells: Sequence[Mapping[str, Any]]  # of the plan
    tables: Mapping[tuple[Identity, str], Table]


@dataclass(frozen=True, slots=True)
class Change:
    """One number of both boards, with the paired difference B - A where the two can be compared."""

    before: Row
    after: Row
    gap: Interval | None
    patients: int  # behind the gap, as the subsets
    subsets: int
    why: str  # why there is no gap, or a gap without an interval
    causes: tuple[str, ...]  # what differs in the making of the cells

    @property
    def verdict(self) -> str:
        """better, worse, or within its interval; empty where nothing can be told."""
        if self.gap is None or self.gap.lo is None or self.gap.hi is None:
            return ""
        up = "better" if COLUMN[self.after.metric].better == "higher" else "worse"
        if self.gap.lo > 0:
            return up
        return (
            ("worse" if up == "better" else "better") if self.gap.hi < 0 else "within its interval"
        )

    @property
    def lower(self) -> bool:
        """Whether B is worse than A, be it by noise."""
        if self.before.mean is None or self.after.mean is None:
            return False
        change = self.gap.mean if self.gap else self.after.mean - self.before.mean
        return change < 0 if COLUMN[self.after.metric].better == "higher" else change > 0


@dataclass(frozen=True)
class Difference:
    """Two boards side by side; rows stand for themselves by their headline metric."""

    before: Side
    after: Side
    alarms: list[str]  # why numbers cannot be compared; come first, in red
    settings: list[tuple[str, str, str]]
    cells: tuple[int, int, int]  # in both, in A alone, in B alone
    removed: list[Row]
    added: list[Row]
    changed: list[Change]
    moved: list[Change]  # other ranks by the headline metric
    equal: int  # numbers that did not change
    drops: list[str]


def compare(before: Side, after: Side) -> Difference:
    """All differences from one folder to another."""
    alarms, barred = _alarms(before, after)
    old, new = (
        {(_identity(row), row.metric): row for row in side.board.rows} for side in (before, after)
    )
    shared = [_change(before, after, old[key], new[key], barred) for key in new if key in old]
    shared.sort(key=lambda change: _order(change.after))
    changed = [change for change in shared if not _equal(change.before, change.after)]
    lost = [row for key, row in old.items() if key not in new and _heads(row)]
    keys = [{cell["key"] for cell in side.cells} for side in (before, after)]
    heads = [change for change in shared if _heads(change.after)]
    return Difference(
        before=before,
        after=after,
        alarms=alarms,
        settings=_settings(before.settings, after.settings),
        cells=(len(keys[0] & keys[1]), len(keys[0] - keys[1]), len(keys[1] - keys[0])),
        removed=sorted(lost, key=_order),
        added=sorted(
            (row for key, row in new.items() if key not in old and _heads(row)), key=_order
        ),
        changed=changed,
        moved=[change for change in heads if _ranks(change.before) != _ranks(change.after)],
        equal=len(shared) - len(changed),
        drops=_drops([change for change in changed if _heads(change.after)], lost, alarms),
    )


def _alarms(before: Side, after: Side) -> tuple[list[str], dict[str, str]]:
    """What forbids a comparison, in words; and for each dataset that it concerns, why."""
    alarms, barred = [], {}
    shared = [name for name in after.board.datasets if name in before.board.datasets]
    for name in shared:
        cells = [
            [cell for cell in side.cells if cell["dataset"] == name] for side in (before, after)
        ]
        old, new = ({cell["subset"]: cell["split"] for cell in own} for own in cells)
        other = sorted(subset for subset in old.keys() & new.keys() if old[subset] != new[subset])
        if other:
            barred[name] = "the splits differ"
            alarms.append(
                f"the split of {name} is another one in subset {', '.join(map(str, other))}"
            )
        data = [{cell["data"] for cell in own} for own in cells]
        if data[0] != data[1]:
            barred[name] = "the data differ"
            alarms.append(
                f"the images or masks of {name} are others: {_hashes(data[0])} in A, {_hashes(data[1])} in B"
            )
    versions = [sorted({cell["protocol"] for cell in side.cells}) for side in (before, after)]
    if versions[0] != versions[1]:
        barred = dict.fromkeys(shared, "the protocols differ")
        alarms.insert(
            0, f"protocol version {', '.join(versions[0])} in A, {', '.join(versions[1])} in B"
        )
    return alarms, barred


def _hashes(found: set[str]) -> str:
    return ", ".join(sorted(text[:12] for text in found))


def _change(before: Side, after: Side, old: Row, new: Row, barred: Mapping[str, str]) -> Change:
    causes = _causes(before, after, _identity(new))
    why = barred.get(new.dataset) or _obstacle(before, after, old, new)
    if why:
        return Change(old, new, None, 0, 0, f"not comparable: {why}", causes)
    one, other = (side.tables.get((_identity(new), new.metric), {}) for side in (before, after))
    subsets = sorted(one.keys() & other.keys())
    groups = (
        sorted(set.intersection(*(set(table[j]) for table in (one, other) for j in subsets)))
        if subsets
        else []
    )
    if not groups:
        return Change(old, new, None, 0, 0, _no_pairs(old, new), causes)
    table = np.array([[other[j][group] - one[j][group] for j in subsets] for group in groups])
    if groups == [""]:
        gap = intervals.interval_over_subsets(table[0])
        return Change(
            old,
            new,
            gap,
            0,
            len(subsets),
            "" if gap.kind else "one subset gives no interval",
            causes,
        )
    gap = intervals.mean_interval(table)
    return Change(
        old,
        new,
        gap,
        len(groups),
        len(subsets),
        "" if gap.kind else "one patient gives no interval",
        causes,
    )


def _no_pairs(old: Row, new: Row) -> str:
    for side, row in (("A", old), ("B", new)):
        if row.mean is None:
            return f"no number in {side} ({row.status.replace('_', ' ')})"
    return "no label subset in common"


def _obstacle(before: Side, after: Side, old: Row, new: Row) -> str:
    """Why one metric cannot be compared though data and split are the same."""
    if new.metric == "nsd" and before.settings.get("nsd_tolerance") != after.settings.get(
        "nsd_tolerance"
    ):
        return "the tolerances differ"
    if old.extractor != new.extractor:
        return f"the features differ ({old.extractor}, {new.extractor})"
    if new.metric in ("fid", "fd", "fd_normal") and old.n != new.n:
        return f"the numbers of images differ ({old.n}, {new.n})"
    judged = new.extractor == "task" or new.metric in (
        "healthiness",
        "healthiness_dice",
        "harmonic",
    )
    if judged and _judge(before, new) != _judge(after, new):
        return "the reference models differ, and with them what they see"
    return ""


def _judge(side: Side, row: Row) -> set[str]:
    """The key of the reference model of a row's task and dataset."""
    own = (row.task, row.dataset, side.board.suite["reference"], "default", 1.0, 0)
    names = ("task", "dataset", "method", "variant", "fraction", "subset")
    return {cell["key"] for cell in side.cells if tuple(cell[name] for name in names) == own}


def _causes(before: Side, after: Side, identity: Identity) -> tuple[str, ...]:
    """What differs between the cells of a row, by the first subset that both have, and not between the suites."""
    old, new = (
        {cell["subset"]: cell for cell in side.cells if _cell(cell) == identity}
        for side in (before, after)
    )
    first = min(old.keys() & new.keys(), default=None)
    if first is None or old[first]["key"] == new[first]["key"]:
        return ()
    made = [
        {name: value for name, value in side[first].items() if name not in NO_IDENTITY}
        for side in (old, new)
    ]
    own = [
        found
        for found in _settings(*made)
        if found not in _settings(before.settings, after.settings)
    ]
    return tuple(name if name == "code" else f"{name} {one} -> {other}" for name, one, other in own)


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(name, in A, in B) of each setting that differs, nested ones by their path."""
    one, other = _flat(before), _flat(after)
    names = dict.fromkeys([*one, *other])
    pairs = [(name, one.get(name, "not set"), other.get(name, "not set")) for name in names]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _flat(settings: Any, path: str = "") -> dict[str, str]:
    if isinstance(settings, Mapping) and settings:
        parts = [
            _flat(value, f"{path}.{key}" if path else str(key)) for key, value in settings.items()
        ]
        return {name: value for part in parts for name, value in part.items()}
    return {
        path: settings if isinstance(settings, str) else json.dumps(settings, ensure_ascii=False)
    }


def _drops(heads: Sequence[Change], lost: Sequence[Row], alarms: Sequence[str]) -> list[str]:
    """Headline scores that fell beyond their interval, or of which nobody can say that they did not."""
    found = [f"nothing can be told: {alarm}" for alarm in alarms]
    for change in heads:
        row = f"{_words(change.after)}: {change.after.metric}"
        if change.verdict == "worse":
            found.append(f"{row} fell beyond its interval")
        elif change.before.mean is not None and change.after.mean is None:
            found.append(f"{row} is gone ({change.after.status.replace('_', ' ')})")
        elif change.before.status == "ok" and change.after.status == "failed":
            found.append(f"{row} has failed ({change.after.reason})")
        elif change.lower and not change.verdict and not alarms:
            found.append(f"{row} is lower, {change.why}")
    return found + [f"{_words(row)}: its row is gone" for row in lost if row.mean is not None]


def _equal(old: Row, new: Row) -> bool:
    pairs = ((old.mean, new.mean), (old.lo, new.lo), (old.hi, new.hi), (old.status, new.status))
    return all(same(one, other) for one, other in pairs)


def _ranks(row: Row) -> tuple[int | None, int | None]:
    return row.rank_lo, row.rank_hi


def _heads(row: Row) -> bool:
    return row.metric == HEADLINE[row.task]


def _identity(row: Row) -> Identity:
    return row.task, row.dataset, row.labelled, row.method, row.variant


def _cell(cell: Mapping[str, Any]) -> Identity:
    return cell["task"], cell["dataset"], cell["labelled"], cell["method"], cell["variant"]


def _order(row: Row) -> tuple[Any, ...]:
    return (
        TASKS.index(row.task),
        row.dataset,
        row.labelled,
        row.method,
        row.variant,
        [*COLUMN].index(row.metric),
    )


def _words(row: Row) -> str:
    variant = "" if row.variant == "default" else f" ({row.variant})"
    return f"{row.method}{variant} on {place(row.task, row.dataset)}, {row.labelled} labelled"
