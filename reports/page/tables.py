"""The rows of a Board, grouped and put into words for the page. No statistics here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.board import COLUMNS, HEADLINE, Board, Column, Row, row_key

STRONGEST = (
    16  # percent of colour behind the best number of a budget; text on it keeps its contrast
)
SHARES = frozenset(  # cannot leave [0, 1]
    {"dice", "fp_rate", "dice_all", "jaccard", "nsd", "copy_rate"}
    | {"augmented_dice", "healthiness_dice", "identity", "harmonic", "anomaly_auroc"}
    | {"accuracy", "balanced_accuracy", "macro_f1", "auroc"}
)
GAINS = frozenset({"gain", "augmented_gain"})
DISTANCES = frozenset({"hd95", "asd"})
FRECHET = frozenset({"fid", "fd", "fd_normal"})
STATUS = {"ok": "OK", "failed": "Failed", "not_applicable": "Not applicable", "missing": "Missing"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a main table: every metric of one method at one budget."""

    fraction: float
    labelled: int
    label: str
    reference: bool
    baseline: bool  # of the reference rows that every board has: they stand first at their budget
    rows: dict[str, Row] = field(default_factory=dict)

    @property
    def head(self) -> Row:
        """The row that speaks for the line: its task's headline where there is one."""
        return next(
            (row for row in self.rows.values() if row.metric == HEADLINE[row.task]), self.first
        )

    @property
    def first(self) -> Row:
        """Any row of the line."""
        return next(iter(self.rows.values()))

    @property
    def selected(self) -> bool:
        """Whether a checkpoint was chosen on a list: such a line is shown, not compared."""
        return "best on " in self.head.variant

    @property
    def empty(self) -> bool:
        """Whether the line has no number at all."""
        return not any(known(row.mean) for row in self.rows.values())


@dataclass(frozen=True, slots=True)
class Budget:
    """The lines of one label budget, best first."""

    fraction: float
    labelled: int
    text: str  # "4 of 40 (10%)"
    entries: list[Entry]
    ties: dict[int, str]  # tie group -> letter, for groups of two and more

    @property
    def full(self) -> bool:
        """Whether every label was given."""
        return self.fraction >= 1


def known(value: float | None) -> bool:
    """Whether there is a finite number."""
    return value is not None and math.isfinite(value)


Place = tuple[str, str]  # task and dataset: what is compared with each other


def places(board: Board) -> list[Place]:
    """Each task with each dataset, in reading order."""
    return [(task, dataset) for task in board.suite["tasks"] for dataset in board.datasets]


def rows_of(board: Board, place: Place) -> list[Row]:
    """The rows of one task on one dataset."""
    return [row for row in board.rows if (row.task, row.dataset) == place]


def budgets(board: Board, place: Place) -> list[Budget]:
    """Every line of a task on a dataset by budget; baselines, then the others, each by their mean headline."""
    groups: dict[tuple[float, int], list[Entry]] = {}
    for entry in _entries(board, place):
        groups.setdefault((entry.fraction, entry.labelled), []).append(entry)
    total = board.datasets[place[1]]["train_groups"]
    return [
        Budget(
            *key, budget_text(*key, total), sorted(groups[key], key=_best_first), _ties(groups[key])
        )
        for key in sorted(groups)
    ]


def columns(board: Board, place: Place) -> list[Column]:
    """The columns that there are rows for; the headline always."""
    present = {row.metric for row in rows_of(board, place)} | {HEADLINE[place[0]]}
    return [column for column in COLUMNS if column.key in present]


def ceiling(lines: Iterable[Budget]) -> Row | None:
    """The headline of the reference method with all labels."""
    full = [entry for budget in lines if budget.full for entry in budget.entries if entry.reference]
    return next(
        (entry.head for entry in full if _is_headline(entry.head) and known(entry.head.mean)), None
    )


def _is_headline(row: Row) -> bool:
    return row.metric == HEADLINE[row.task]


def leaders(budget: Budget) -> list[Entry]:
    """The line with the best mean headline, then those that cannot be told apart from it."""
    ranked = [e for e in budget.entries if _is_headline(e.head) and e.head.rank_lo is not None]
    # Ranks are over the subsets that all have, so the first of them need not have the highest mean of its own.
    ranked.sort(
        key=lambda entry: (
            entry.head.tie_group or 0,
            entry.head.rank_lo or 0,
            -(entry.head.mean or 0.0),
        )
    )
    group = ranked[0].head.tie_group if ranked else None
    return [
        e for e in ranked if e is ranked[0] or (group is not None and e.head.tie_group == group)
    ]


def notes(lines: list[Budget], shown: list[Column]) -> list[tuple[str, str, str]]:
    """(column, reason, methods) of numbers whose line does not already state that reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for entry in (entry for budget in lines for entry in budget.entries if not entry.empty):
        for column in shown:
            row = entry.rows.get(column.key, entry.head)
            if row.status != "ok" and row.reason != entry.head.reason:
                labels = found.setdefault((column.title, reason(row)), [])
                labels += [] if entry.label in labels else [entry.label]
    return [(title, why, ", ".join(labels)) for (title, why), labels in found.items()]


def shades(lines: Iterable[Budget], shown: Iterable[Column]) -> dict[tuple[int, str, str], int]:
    """(labelled, label, column) -> strength in percent, the best of a budget strongest; none where all are equal."""
    found = {}
    for budget in lines:
        for column in shown:
            rows = {
                entry.label: entry.rows[column.key]
                for entry in budget.entries
                if column.key in entry.rows
            }
            values = {
                label: float(row.mean)
                for label, row in rows.items()
                if row.mean is not None and known(row.mean)
            }
            low, high = min(values.values(), default=0.0), max(values.values(), default=0.0)
            for label, value in values.items() if high > low else ():
                share = (value - low) / (high - low)
                better = share if column.better == "higher" else 1 - share
                found[(budget.labelled, label, column.key)] = round(STRONGEST * better)
    return found


def method_label(method: str, variant: str) -> str:
    """The method, and its variant where that says something."""
    return method if variant in ("default", "") else f"{method} ({variant})"


def headline_title(task: str) -> str:
    """The name of a task's headline metric."""
    return next(column.title for column in COLUMNS if column.key == HEADLINE[task])


def budget_text(fraction: float, labelled: int, total: int) -> str:
    """How many patients are labelled, in words."""
    return f"{labelled} of {total} ({percent(fraction)})"


def plural(noun: str, count: int) -> str:
    """The noun as its count asks."""
    return noun if count == 1 or noun.endswith("s") else f"{noun}s"


def short_unit(card: Mapping[str, Any]) -> str:
    """What a group is, without the remark in brackets: "image" of "image (patients unknown)"."""
    return str(card["unit"]).split(" (")[0]


def percent(fraction: float) -> str:
    """A share as a percentage with as few digits as it needs."""
    return f"{100 * fraction:.3g}%"


def number(value: float | None, digits: int) -> str:
    """A number at the digits of its column."""
    return f"{value:.{digits}f}" if value is not None and known(value) else "n/a"


def interval(row: Row, digits: int) -> str:
    """The 95% interval as text, clipped to what the metric can be; empty where there is none."""
    if not (known(row.lo) and known(row.hi)):
        return ""
    return (
        f"[{number(clip(row.lo, row.metric), digits)}, {number(clip(row.hi, row.metric), digits)}]"
    )


def clip(value: float | None, metric: str) -> float:
    """A value inside the range of its metric."""
    low = 0.0 if metric in SHARES | DISTANCES | FRECHET else -1.0 if metric in GAINS else -math.inf
    high = 1.0 if metric in SHARES | GAINS | {"healthiness"} else math.inf
    return min(max(value or 0.0, low), high)


def unit(column: Column, distance_unit: str) -> str:
    """The unit of a column in words."""
    if column.key in DISTANCES:
        return distance_unit
    return "0 to 1" if column.key in SHARES else ""


def reason(row: Row) -> str:
    """Why a row is not ok, never blank."""
    return row.reason or "no reason was recorded"


def subset_means(board: Board, row: Row) -> list[float]:
    """The mean of each label subset behind a row."""
    return [mean for mean in board.means.get(row_key(row), []) if known(mean)]


def _entries(board: Board, place: Place) -> Iterable[Entry]:
    reference = board.suite.get("reference", "supervised")
    found: dict[tuple[float, int, str, str], Entry] = {}
    for row in rows_of(board, place):
        key = (row.fraction, row.labelled, row.method, row.variant)
        label = method_label(row.method, row.variant)
        judge = row.method == reference and row.variant == "default"
        baseline = judge or board.methods.get(row.method, {}).get("role") == "baseline"
        entry = found.setdefault(key, Entry(row.fraction, row.labelled, label, judge, baseline))
        entry.rows[row.metric] = row
    return found.values()


def _best_first(entry: Entry) -> tuple[bool, bool, float, str]:
    mean = entry.head.mean if _is_headline(entry.head) else None
    return (not entry.baseline, not known(mean), -(mean or 0.0), entry.label)


def _ties(entries: list[Entry]) -> dict[int, str]:
    sizes = Counter(entry.head.tie_group for entry in entries)
    shared = sorted(group for group, size in sizes.items() if group is not None and size > 1)
    return {group: chr(ord("a") + place % 26) for place, group in enumerate(shared)}
