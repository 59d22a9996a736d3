"""The main table: one line for each method at a budget, in words, for every metric."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.board.schema import HEADLINE, Board, MetricGain, Row, RowCost
from bench.names import DEFAULT, TUNED
from reports.page import tables
from reports.page.costs import cost_text
from reports.page.filters import method_family
from reports.page.tables import Budget, Entry, Problem
from reports.view import kept_defaults, settings_of
from reports.wording import (
    entry_name,
    interval_text,
    method_remark,
    number_text,
    score_digits,
    signed_text,
)

# Metrics beside the one that is chosen; the first two of them that are not chosen themselves.
COMPANIONS = {
    "segmentation": ("nsd", "hd95", "dice"),
    "classification": ("auroc", "macro_f1", "balanced_accuracy"),
}
KEPT = "tuning kept the defaults"
NOT_TESTED = "not tested"
UNFINISHED = "generator not converged"
UNFINISHED_HELP = (
    "The distance of its images to the training images was still falling when its training ended: "
    "a longer one may change this row. See Synthetic images."
)

STATES = {
    "self-reported": "Run by whoever added the row; nobody has run it again yet.",
    "reproduced": "Some of its runs were made again and agree; see Provenance.",
    "other code": (
        "The code of this method trains otherwise since the row was run; see Provenance for the "
        "code of the row."
    ),
}


@dataclass(frozen=True, slots=True)
class Score:
    """One score in words."""

    value: float
    text: str
    is_tied: bool  # the best of its budget by this metric, or not separated from it
    is_best: bool  # alone so
    flag: str  # what is wrong with it, "" if nothing


@dataclass(frozen=True, slots=True)
class Bar:
    """A gain as a bar, in percent of its column; all bars of a budget share one scale."""

    start: float
    end: float
    at: float
    zero: float


@dataclass(frozen=True, slots=True)
class Gain:
    """One gain in words."""

    value: float
    text: str
    interval: str
    word: str
    ends: tuple[float, float] | None  # of the interval
    bar: Bar


@dataclass(frozen=True, slots=True)
class Line:
    """One method at one budget."""

    id: str
    head: Row
    name: str
    family: str
    marks: list[tuple[str, str]]  # words, and what they mean
    settings: str  # under which it is shown
    is_reference: bool
    is_repeated: bool  # a tuned row whose cells are those of its default
    scores: Mapping[str, Score]
    gains: Mapping[str, Gain]
    seconds: float | None
    time: str
    ranks: Mapping[str, str]  # by metric: the ranks that the data allow
    reasons: Mapping[str, str] = field(default_factory=dict)  # why a metric has no score

    @property
    def is_empty(self) -> bool:
        """Whether there is no score at all."""
        return not self.scores


@dataclass(frozen=True, slots=True)
class BudgetLines:
    """The lines of one label budget: the reference, then the others, best first."""

    labelled: int
    fraction: float
    text: str
    lines: list[Line]


def row_id(labelled: int, method: str, variant: str) -> str:
    """The id of a line inside its problem."""
    return f"{labelled}|{method}|{variant}"


def companions(task: str, metrics: Sequence[str], chosen: str) -> list[str]:
    """The two metrics that stand beside a chosen one."""
    preferred = COMPANIONS.get(task, ())
    beside = [key for key in preferred if key in metrics and key != chosen]
    return beside[:2]


def list_lines(board: Board, problem: Problem, metrics: Sequence[str]) -> list[BudgetLines]:
    """The lines of each budget, few labels first."""
    gains = _gains_by_budget(board, problem)
    costs = {(c.labelled, c.method, c.variant): c for c in tables.items_of(board.cost, problem)}
    repeated = kept_defaults(board)
    budgets = []
    for budget in tables.budgets_of(board, problem):
        texts = _gain_texts(board, gains[budget.labelled])
        lines = []
        for entry in budget.entries:
            row = entry.first
            cost = costs.get((row.labelled, row.method, row.variant))
            own = texts.get((row.method, row.variant), {})
            has_kept = (row.task, row.dataset, row.labelled, row.method) in repeated
            lines.append(_line(board, metrics, budget, entry, own, cost, has_kept))
        lines.sort(key=_reference_then_best)
        lines = _with_informative_ties(lines)
        budgets.append(BudgetLines(budget.labelled, budget.fraction, budget.text, lines))
    return budgets


def _with_informative_ties(lines: Sequence[Line]) -> list[Line]:
    """Lines without the mark of a metric in which no method is separated from the best."""
    tied: Counter[str] = Counter()
    separated: Counter[str] = Counter()
    for line in lines:
        for key, score in line.scores.items():
            counted = tied if score.is_tied else separated
            counted[key] += 1
    marked = []
    for line in lines:
        scores = dict(line.scores)
        for key, score in scores.items():
            is_tied = score.is_tied and separated[key] > 0
            is_best = is_tied and tied[key] == 1
            scores[key] = replace(score, is_tied=is_tied, is_best=is_best)
        marked.append(replace(line, scores=scores))
    return marked


def _gains_by_budget(board: Board, problem: Problem) -> dict[int, list[MetricGain]]:
    gains: dict[int, list[MetricGain]] = defaultdict(list)
    for gain in tables.items_of(board.gains, problem):
        gains[gain.labelled].append(gain)
    return gains


def _reference_then_best(line: Line) -> tuple[bool, bool, float, str]:
    head = line.scores.get(HEADLINE[line.head.task])
    best_first = -head.value if head else 0.0
    return (not line.is_reference, head is None, best_first, line.name)


def _line(
    board: Board,
    metrics: Sequence[str],
    budget: Budget,
    entry: Entry,
    gains: Mapping[str, Gain],
    cost: RowCost | None,
    has_kept: bool,
) -> Line:
    head = entry.head
    rows = {key: entry.rows.get(key) for key in metrics}
    seconds = _seconds(cost)
    return Line(
        id=row_id(head.labelled, head.method, head.variant),
        head=head,
        name=entry_name(board, head.method, head.variant),
        family=method_family(board, head.method),
        marks=_marks(board, budget, entry, has_kept),
        settings=settings_of(head.variant)[0],
        is_reference=_is_reference(board, head),
        is_repeated=has_kept and head.variant == TUNED,
        scores=_scores(board, rows),
        gains=gains,
        seconds=seconds,
        time="n/a" if seconds is None else cost_text(seconds, "seconds"),
        ranks=_ranks(rows),
        reasons=_reasons(rows),
    )


def _is_reference(board: Board, head: Row) -> bool:
    return head.method == board.suite.reference and head.variant in (DEFAULT, TUNED)


def _seconds(cost: RowCost | None) -> float | None:
    """What a run took, with its shared parts."""
    if cost is None or cost.train_seconds is None:
        return None
    return cost.train_seconds + (cost.part_seconds or 0.0)


def _scores(board: Board, rows: Mapping[str, Row | None]) -> dict[str, Score]:
    scores = {}
    for key, row in rows.items():
        if row is not None and tables.known(row.mean):
            scores[key] = _score(board, row, key)
    return scores


def _ranks(rows: Mapping[str, Row | None]) -> dict[str, str]:
    ranks = {}
    for key, row in rows.items():
        if row is not None and row.rank_lo is not None:
            ranks[key] = tables.rank_text(row)
    return ranks


def _reasons(rows: Mapping[str, Row | None]) -> dict[str, str]:
    reasons = {}
    for key, row in rows.items():
        if row is None:
            reasons[key] = "Not scored in this run."
        elif not tables.known(row.mean):
            reasons[key] = f"{tables.status_title(row.status)}: {tables.reason(row)}"
    return reasons


def _score(board: Board, row: Row, key: str) -> Score:
    half_width = None
    if row.lo is not None and row.hi is not None:
        half_width = (row.hi - row.lo) / 2
    digits = score_digits(board.column(key).digits, half_width)
    assert row.mean is not None
    flag = "" if row.status == "ok" else f"{tables.status_title(row.status)}: {tables.reason(row)}"
    text = number_text(row.mean, digits)
    return Score(row.mean, text, row.ties_with_best, False, flag)


def _marks(board: Board, budget: Budget, entry: Entry, has_kept: bool) -> list[tuple[str, str]]:
    head = entry.head
    marks = []
    if _is_reference(board, head):
        label = "reference, all labels" if budget.full else "reference"
        marks.append((label, "Gains are measured against this row, or its tuned form."))
    remark = method_remark(board, head.method)
    if remark:
        caution = board.protocol.get(f"Caution about {head.method}", "")
        marks.append((remark, caution))
    card = board.methods.get(head.method)
    if head.short_form and card is not None:
        marks.append(("short form", card.short_form))
    marks += _version_marks(board, head)
    if _has_unfinished_generator(board, head):
        marks.append((UNFINISHED, UNFINISHED_HELP))
    if has_kept:
        marks.append((KEPT, "The tuned row has the same settings and runs; it is shown once."))
    elif head.variant == TUNED and not budget.full and _has_extra_draw(board):
        labels = f"{head.labelled} + {head.labelled} labels"
        help_text = (
            f"Tuning used {head.labelled} further labelled patients from a separate draw, so this "
            f"row has seen {2 * head.labelled} in total."
        )
        marks.append((labels, help_text))
    if head.variant.endswith("best on test"):
        marks.append(("checkpoint chosen on the test set", "Such rows are shown, not compared."))
    return marks


def _version_marks(board: Board, head: Row) -> list[tuple[str, str]]:
    """Of a published board: whether others have run the row again."""
    for version in board.versions:
        row = (version.task, version.dataset, version.labelled, version.method, version.variant)
        if row == head.row_id:
            return [(version.state, STATES[version.state])]
    return []


def _has_unfinished_generator(board: Board, head: Row) -> bool:
    """Whether in some draw a generator of the row was still getting better when it ended."""
    row = (head.task, head.dataset, head.labelled, head.method, head.variant)
    for item in board.synthetic:
        own = (item.task, item.dataset, item.labelled, item.method, item.variant)
        if own == row and any(curve.still_falls for curve in item.curves):
            return True
    return False


def _has_extra_draw(board: Board) -> bool:
    return any(study.subset is None for study in board.tuning)


# ---- Gains


def _gain_texts(
    board: Board, gains: Sequence[MetricGain]
) -> dict[tuple[str, str], dict[str, Gain]]:
    """(method, variant) -> metric -> the gain in words."""
    by_metric: dict[str, list[MetricGain]] = defaultdict(list)
    for gain in gains:
        by_metric[gain.metric].append(gain)
    texts: dict[tuple[str, str], dict[str, Gain]] = defaultdict(dict)
    for metric, of_metric in by_metric.items():
        digits = board.column(metric).digits
        low, high = _scale(of_metric)
        for gain in of_metric:
            texts[gain.method, gain.variant][metric] = _gain_text(gain, digits, low, high)
    return texts


def gain_interval(gain: MetricGain) -> tuple[float, float] | None:
    """The interval adjusted for all gains of the budget; that of the gain alone if untested.

    None with one draw, whose interval says nothing about another one.
    """
    if len(gain.subsets) == 1:
        return None
    lo, hi = gain.adjusted_lo, gain.adjusted_hi
    if lo is None or hi is None:
        lo, hi = gain.lo, gain.hi
    return (lo, hi) if lo is not None and hi is not None else None


def _scale(gains: Sequence[MetricGain]) -> tuple[float, float]:
    """The ends of the column: zero and every interval are inside."""
    ends = [0.0]
    for gain in gains:
        ends.append(gain.mean)
        ends += gain_interval(gain) or ()
    return min(ends), max(ends)


def _gain_text(gain: MetricGain, digits: int, low: float, high: float) -> Gain:
    def spot(value: float) -> float:
        return round(100 * (value - low) / (high - low), 1) if high > low else 50.0

    ends = gain_interval(gain)
    half_width = (ends[1] - ends[0]) / 2 if ends else None
    shown = score_digits(digits, half_width)
    lo, hi = ends or (None, None)
    word = str(gain.verdict) if gain.verdict and gain.p is not None else NOT_TESTED
    start, end = (gain.mean, gain.mean) if ends is None else ends
    return Gain(
        value=gain.mean,
        text=signed_text(gain.mean, shown),
        interval=interval_text(lo, hi, shown),
        word=word,
        ends=ends,
        bar=Bar(spot(start), spot(end), spot(gain.mean), spot(0.0)),
    )
