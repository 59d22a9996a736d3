"""The rows of a board, grouped and put into words for the page. No statistics here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from bench.board.schema import HEADLINE, Board, ColumnFacts, DatasetFacts, Row, row_key
from bench.names import DEFAULT, method_label

SHARES = frozenset(  # cannot leave [0, 1]
    {"dice", "fp_rate", "dice_all", "jaccard", "nsd", "copy_rate"}
    | {"augmented_dice", "healthiness_dice", "identity", "harmonic", "anomaly_auroc"}
    | {"accuracy", "balanced_accuracy", "macro_f1", "auroc"}
    | {"brier", "ece", "label_ece"}
)
GAINS = frozenset({"gain", "augmented_gain"})
DISTANCES = frozenset({"hd95", "asd"})
FRECHET = frozenset({"fid", "fid_tf1", "fd", "fd_normal"})
TIE = "†"  # beside the rank of methods that are not separated from the best
TIE_MEANING = "Not separated from the best method at this budget."
STATUS = {"ok": "OK", "failed": "Failed", "not_applicable": "Not applicable", "missing": "Missing"}
WEAK_INTERVALS = {  # what weakens an interval, and what that means
    "few draws": "Fewer than 5 draws: the draws are shown, no interval.",
    "wide": "Based on fewer than 3 draws or 8 patients; the interval is unreliable.",
    "cases only": (
        "Based on a single draw: variation between draws is not included, "
        "so the interval is too narrow."
    ),
}


class OfProblem(Protocol):
    """An item of the board about one task on one data set."""

    @property
    def task(self) -> str: ...
    @property
    def dataset(self) -> str: ...


class OfMethod(Protocol):
    """An item of the board about one method."""

    @property
    def method(self) -> str: ...
    @property
    def variant(self) -> str: ...


ItemT = TypeVar("ItemT", bound=OfProblem)


class Problem(NamedTuple):
    """One task on one dataset: its methods are compared with each other."""

    task: str
    dataset: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a main table: every metric of one method at one budget."""

    fraction: float
    labelled: int
    label: str
    reference: bool
    baseline: bool  # one of the reference rows that every board has; they stand first
    rows: dict[str, Row] = field(default_factory=dict)

    @property
    def head(self) -> Row:
        """The row of the task's headline metric where there is one, any row otherwise."""
        headlines = (row for row in self.rows.values() if is_headline(row))
        return next(headlines, self.first)

    @property
    def first(self) -> Row:
        """Any row of the entry."""
        return next(iter(self.rows.values()))

    @property
    def selected(self) -> bool:
        """Whether its checkpoint was chosen on a list: such an entry is shown, not compared."""
        return "best on " in self.head.variant

    @property
    def empty(self) -> bool:
        """Whether the entry has no number at all."""
        return not any(known(row.mean) for row in self.rows.values())


@dataclass(frozen=True, slots=True)
class Budget:
    """The entries of one label budget, best first."""

    fraction: float
    labelled: int
    text: str  # "4 of 40 (10%)"
    entries: list[Entry]
    tied: frozenset[str]  # labels not separated from the best, if there are two or more

    @property
    def full(self) -> bool:
        """Whether every label was given."""
        return self.fraction >= 1


# ---- Parts of a board


def list_problems(board: Board) -> list[Problem]:
    """Each task with each dataset, in reading order."""
    return [Problem(task, dataset) for task in board.suite.tasks for dataset in board.datasets]


def problem_of(item: OfProblem) -> Problem:
    """The problem that an item of the board belongs to."""
    return Problem(item.task, item.dataset)


def items_of(items: Iterable[ItemT], problem: Problem) -> list[ItemT]:
    """The items of one problem."""
    return [item for item in items if problem_of(item) == problem]


def rows_of(board: Board, problem: Problem) -> list[Row]:
    """The rows of one problem."""
    return [row for row in board.rows if (row.task, row.dataset) == problem]


def reference_method(board: Board) -> str:
    """The method that gains are measured against."""
    return board.suite.reference


def subset_means(board: Board, row: Row) -> list[float]:
    """The mean of each draw behind a row."""
    return [mean for mean in board.means.get(row_key(row), []) if known(mean)]


# ---- Tables


def budgets_of(board: Board, problem: Problem) -> list[Budget]:
    """All entries of a problem by budget: baselines, then the others, each by mean headline."""
    total = board.datasets[problem.dataset].train_groups
    by_budget: dict[tuple[float, int], list[Entry]] = {}
    for entry in _collect_entries(board, problem):
        by_budget.setdefault((entry.fraction, entry.labelled), []).append(entry)
    budgets = []
    for fraction, labelled in sorted(by_budget):
        entries = sorted(by_budget[fraction, labelled], key=_best_first)
        text = budget_text(fraction, labelled, total)
        budgets.append(Budget(fraction, labelled, text, entries, _tied_labels(entries)))
    return budgets


def _collect_entries(board: Board, problem: Problem) -> Iterable[Entry]:
    reference = reference_method(board)
    entries: dict[tuple[float, int, str, str], Entry] = {}
    for row in rows_of(board, problem):
        key = (row.fraction, row.labelled, row.method, row.variant)
        if key not in entries:
            is_reference = row.method == reference and row.variant == DEFAULT
            card = board.methods.get(row.method)
            role = card.role if card else None
            label = method_label(row.method, row.variant)
            baseline = is_reference or role == "baseline"
            entries[key] = Entry(row.fraction, row.labelled, label, is_reference, baseline)
        entries[key].rows[row.metric] = row
    return entries.values()


def _best_first(entry: Entry) -> tuple[bool, bool, float, str]:
    mean = entry.head.mean if is_headline(entry.head) else None
    return (not entry.baseline, not known(mean), -(mean or 0.0), entry.label)


def _tied_labels(entries: list[Entry]) -> frozenset[str]:
    tied = [entry.label for entry in entries if entry.head.ties_with_best]
    return frozenset(tied) if len(tied) > 1 else frozenset()


def list_columns(board: Board, problem: Problem) -> list[ColumnFacts]:
    """The columns that there are rows for; the headline always."""
    present = {row.metric for row in rows_of(board, problem)} | {HEADLINE[problem.task]}
    return [column for column in board.columns if column.key in present]


def find_leaders(budget: Budget) -> list[Entry]:
    """The entry with the best mean headline, then those that cannot be told apart from it."""
    ranked = ranked_entries(budget)
    if not ranked:
        return []
    # Ranks are over the draws that all methods have, so the first of them need not have the
    # highest mean of its own.
    ranked.sort(key=_rank_order)
    group = ranked[0].head.tie_group
    if group is None:
        return ranked[:1]
    return ranked[:1] + [entry for entry in ranked[1:] if entry.head.tie_group == group]


def ranked_entries(budget: Budget) -> list[Entry]:
    """The entries that have a rank by the headline metric."""
    entries = budget.entries
    return [e for e in entries if is_headline(e.head) and e.head.rank_lo is not None]


def _rank_order(entry: Entry) -> tuple[int, int, float]:
    head = entry.head
    return (head.tie_group or 0, head.rank_lo or 0, -(head.mean or 0.0))


def list_notes(budgets: list[Budget], columns: list[ColumnFacts]) -> list[tuple[str, str, str]]:
    """(column, reason, methods) of numbers whose entry does not already state that reason."""
    labels_by_reason: dict[tuple[str, str], list[str]] = {}
    for entry in list_entries(budgets):
        if entry.empty:
            continue
        for column in columns:
            row = entry.rows.get(column.key, entry.head)
            if row.status == "ok" or row.reason == entry.head.reason:
                continue
            labels = labels_by_reason.setdefault((column.title, reason(row)), [])
            if entry.label not in labels:
                labels.append(entry.label)
    return [(title, why, ", ".join(labels)) for (title, why), labels in labels_by_reason.items()]


def list_entries(budgets: Iterable[Budget]) -> Iterator[Entry]:
    """The entries of all budgets."""
    for budget in budgets:
        yield from budget.entries


# ---- Words


def item_label(item: OfMethod) -> str:
    """The method and variant of an item of the board."""
    return method_label(item.method, item.variant)


def problem_title(board: Board, problem: Problem) -> str:
    """The dataset, and the task where the board has several."""
    title = board.datasets[problem.dataset].title
    return title if len(board.suite.tasks) == 1 else f"{title}, {problem.task}"


def headline_title(board: Board, task: str) -> str:
    """The name of a task's headline metric."""
    return board.column(HEADLINE[task]).title


def is_headline(row: Row) -> bool:
    """Whether a row is of its task's headline metric."""
    return row.metric == HEADLINE[row.task]


def budget_text(fraction: float, labelled: int, total: int) -> str:
    """How many patients are labelled, in words."""
    return f"{labelled} of {total} ({percent(fraction)})"


def rank_text(row: Row) -> str:
    """The ranks that the data allow."""
    if row.rank_lo is None or row.rank_hi is None:
        return "n/a"
    return str(row.rank_lo) if row.rank_lo == row.rank_hi else f"{row.rank_lo}-{row.rank_hi}"


def plural(noun: str, count: int) -> str:
    """The noun as its count asks."""
    return noun if count == 1 or noun.endswith("s") else f"{noun}s"


def short_unit(card: DatasetFacts) -> str:
    """What a group is, without the remark in brackets: "image" of "image (patients unknown)"."""
    return card.unit.split(" (")[0]


def status_title(status: str) -> str:
    """A status as the page writes it."""
    return STATUS.get(status, status)


def reason(row: Row) -> str:
    """Why a row is not ok, never blank."""
    return row.reason or "no reason was recorded"


# ---- Numbers


def known(value: float | None) -> bool:
    """Whether there is a finite number."""
    return value is not None and math.isfinite(value)


def percent(fraction: float) -> str:
    """A share as a percentage with as few digits as it needs."""
    return f"{100 * fraction:.3g}%"


def number(value: float | None, digits: int) -> str:
    """A number at the digits of its column."""
    return f"{value:.{digits}f}" if value is not None and known(value) else "n/a"


def interval(row: Row, digits: int) -> str:
    """The 95% interval as text, clipped to what the metric can be; empty where there is none.

    That of a gain is adjusted for all gains of its budget wherever it is tested, as its verdict is.
    """
    lo, hi = row.lo, row.hi
    if row.metric in GAINS and known(row.adjusted_lo) and known(row.adjusted_hi):
        lo, hi = row.adjusted_lo, row.adjusted_hi
    if not (known(lo) and known(hi)):
        return ""
    low, high = clip(lo, row.metric), clip(hi, row.metric)
    return f"[{number(low, digits)}, {number(high, digits)}]"


def clip(value: float | None, metric: str) -> float:
    """A value inside the range of its metric."""
    low = -math.inf
    if metric in SHARES | DISTANCES | FRECHET | {"label_brier"}:
        low = 0.0
    elif metric in GAINS:
        low = -1.0
    high = 1.0 if metric in SHARES | GAINS | {"healthiness"} else math.inf
    return min(max(value or 0.0, low), high)


def unit(column: ColumnFacts, distance_unit: str) -> str:
    """The unit of a column in words."""
    if column.key in DISTANCES:
        return distance_unit
    return "0 to 1" if column.key in SHARES else ""
