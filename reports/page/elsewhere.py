"""The rows of models on data sets that they were not trained on, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.board.schema import COMPARED, HEADLINE, Board, ColumnFacts, ElsewhereRow
from reports.page import tables
from reports.wording import entry_name


@dataclass(frozen=True, slots=True)
class ElsewhereLine:
    """One method at one budget, with its number in each column that it has one for."""

    labelled: int
    name: str
    rows: dict[str, ElsewhereRow] = field(default_factory=dict)

    @property
    def head(self) -> ElsewhereRow:
        """The headline, or any row where there is none."""
        first = next(iter(self.rows.values()))
        return self.rows.get(HEADLINE[first.task], first)

    def number(self, column: ColumnFacts) -> str:
        """The number of a column, "n/a" where there is none."""
        row = self.rows.get(column.key)
        return "n/a" if row is None else tables.number(row.mean, column.digits)

    def interval(self, column: ColumnFacts) -> str:
        """The interval of a column; empty where there is none."""
        row = self.rows.get(column.key)
        return "" if row is None else tables.interval(row, column.digits)

    def weakness(self, column: ColumnFacts) -> str:
        """What weakens the interval of a column (`WEAK_INTERVALS`); empty where nothing does."""
        row = self.rows.get(column.key)
        if row is None or not self.interval(column) or row.interval not in tables.WEAK_INTERVALS:
            return ""
        return row.interval

    def text(self, column: ColumnFacts) -> str:
        """The number of a column with its interval."""
        return " ".join(filter(None, (self.number(column), self.interval(column))))


@dataclass(frozen=True, slots=True)
class ElsewhereTable:
    """All methods trained on one data set and tested on another one."""

    task: str
    trained_on: str
    tested_on: str
    columns: list[ColumnFacts]
    lines: list[ElsewhereLine]

    @property
    def title(self) -> str:
        """What was trained on which data, and tested on which."""
        return f"Trained on {self.trained_on}, tested on {self.tested_on}"

    @property
    def patients(self) -> int:
        """How many patients, or images, the headline is a mean over."""
        return max(line.head.n_groups for line in self.lines)


def list_tables(board: Board) -> list[ElsewhereTable]:
    """A table for each pair of data sets; lines by budget, then the best headline first."""
    grouped: dict[tuple[str, str, str], dict[tuple[int, str], ElsewhereLine]] = {}
    for row in board.elsewhere:
        lines = grouped.setdefault((row.task, row.trained_on, row.dataset), {})
        name = entry_name(board, row.method, row.variant)
        line = lines.setdefault((row.labelled, name), ElsewhereLine(row.labelled, name))
        line.rows[row.metric] = row
    drawn = []
    for (task, trained_on, tested_on), by_name in grouped.items():
        columns = _columns(board, task, list(by_name.values()))
        lines_of_pair = sorted(by_name.values(), key=_best_first)
        drawn.append(ElsewhereTable(task, trained_on, tested_on, columns, lines_of_pair))
    return drawn


def _columns(board: Board, task: str, lines: Sequence[ElsewhereLine]) -> list[ColumnFacts]:
    """The headline with its gain, then the other metrics that gains are given of."""
    present: set[str] = set()
    for line in lines:
        present.update(line.rows)
    headline, *others = COMPARED[task]
    return [board.column(key) for key in (headline, "gain", *others) if key in present]


def _best_first(line: ElsewhereLine) -> tuple[int, float, str]:
    return line.labelled, -(line.head.mean or 0.0), line.name
