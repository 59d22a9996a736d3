"""What one view of a board compares: the reference, its rivals, and their gains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.board.schema import Board, ColumnFacts, MetricGain, Row
from bench.names import DEFAULT, TUNED
from reports.view import View, kept_defaults, settings_of
from reports.wording import entry_name, number_text, score_digits, training_name

DISTANCES = frozenset({"hd95", "asd"})

# Rows or gains of one budget in one metric: (task, dataset, labelled, metric).
Place = tuple[str, str, int, str]


@dataclass(frozen=True, slots=True)
class Rival:
    """A row that is compared with the reference."""

    name: str
    row: Row
    gain: MetricGain | None

    @property
    def verdict(self) -> str:
        """The word for it; "" where it is not compared."""
        if self.gain is None:
            return ""
        return self.gain.verdict or ""

    @property
    def is_tested(self) -> bool:
        """Whether the word comes from a test."""
        return self.gain is not None and self.gain.p is not None


@dataclass(frozen=True, slots=True)
class Field:
    """Everything that one view compares."""

    view: View
    column: ColumnFacts
    unit: str  # what is labelled: "patient"
    total: int  # of them, for training
    distance_unit: str
    reference: Row | None
    reference_name: str
    bound: float | None  # the score of the reference with all labels
    rivals: Sequence[Rival]
    board: Board

    def of(self, verdict: str) -> list[Rival]:
        """The rivals with a verdict, the largest gain first."""
        chosen = [rival for rival in self.rivals if rival.verdict == verdict and rival.gain]
        return sorted(chosen, key=gain_of, reverse=True)

    @property
    def scored(self) -> list[Rival]:
        """The rivals that have a score."""
        return [rival for rival in self.rivals if rival.row.mean is not None]

    def score(self, row: Row) -> str:
        """A score with its metric, such as "Dice 0.75" or "HD95 5.1 px"."""
        return f"{self.column.title} {self.value(row)}"

    def value(self, row: Row) -> str:
        """A score alone."""
        return self._number(row.mean, score_digits(self.column.digits, _half_width(row)))

    def gain(self, rival: Rival) -> str:
        """The gain of a rival, in the unit of the metric."""
        return self._number(gain_of(rival), min(self.column.digits, 2))

    @property
    def bound_value(self) -> str:
        """The score of the reference with all labels."""
        return self._number(self.bound, score_digits(self.column.digits, None))

    def _number(self, value: float | None, digits: int) -> str:
        text = number_text(value, digits)
        return f"{text} {self.distance_unit}" if self.column.key in DISTANCES else text


def fields(board: Board, views: Iterable[View]) -> dict[View, Field]:
    """What each view compares."""
    rows: dict[Place, list[Row]] = defaultdict(list)
    for row in board.rows:
        rows[row.task, row.dataset, row.labelled, row.metric].append(row)
    gains: dict[Place, list[MetricGain]] = defaultdict(list)
    for gain in board.gains:
        gains[gain.task, gain.dataset, gain.labelled, gain.metric].append(gain)
    repeated = kept_defaults(board)
    made = {}
    for view in views:
        place = (view.task, view.dataset, view.labelled, view.metric)
        total = board.datasets[view.dataset].train_groups
        full = rows[view.task, view.dataset, total, view.metric]
        bound = _bound(board, view, total, full)
        made[view] = _make_field(board, view, rows[place], gains[place], bound, repeated)
    return made


def _make_field(
    board: Board,
    view: View,
    rows: Sequence[Row],
    gains: Sequence[MetricGain],
    bound: float | None,
    repeated: frozenset[tuple[str, str, int, str]],
) -> Field:
    card = board.datasets[view.dataset]
    own_settings = TUNED if view.settings == "tuned" else DEFAULT
    reference_id = (board.suite.reference, own_settings)
    by_id: Mapping[tuple[str, str], MetricGain] = {(g.method, g.variant): g for g in gains}
    reference = None
    rivals = []
    for row in rows:
        if view.settings not in settings_of(row.variant) or "best on " in row.variant:
            continue
        row_id = (row.method, row.variant)
        if row_id == reference_id:
            reference = row
            continue
        place = (row.task, row.dataset, row.labelled, row.method)
        if view.settings == "all" and row.variant == TUNED and place in repeated:
            continue
        name = entry_name(board, row.method, _spoken_variant(view, row))
        rivals.append(Rival(name, row, by_id.get(row_id)))
    return Field(
        view=view,
        column=board.column(view.metric),
        unit=card.unit.split(" (")[0],
        total=card.train_groups,
        distance_unit=card.distance_unit,
        reference=reference,
        reference_name=training_name(board, board.suite.reference, DEFAULT),
        bound=bound,
        rivals=rivals,
        board=board,
    )


def _bound(board: Board, view: View, total: int, rows: Sequence[Row]) -> float | None:
    """The mean of the reference with all labels and default settings, whether a row or not."""
    method = board.suite.reference
    for row in rows:
        if (row.method, row.variant) == (method, DEFAULT):
            return row.mean
    place = (view.task, view.dataset, total, method, view.metric)
    for step in board.ladder:
        if (step.task, step.dataset, step.labelled, step.method, step.metric) == place:
            return step.mean
    return None


def _spoken_variant(view: View, row: Row) -> str:
    """Tuned settings need no word where every row has them."""
    is_said = view.settings == "tuned" and row.variant == TUNED
    return DEFAULT if is_said else row.variant


def gain_of(rival: Rival) -> float:
    """The mean gain of a rival; 0 where it is not compared."""
    return rival.gain.mean if rival.gain else 0.0


def _half_width(row: Row) -> float | None:
    if row.lo is None or row.hi is None:
        return None
    return (row.hi - row.lo) / 2
