"""The rows of the forest plot: gains in words and numbers, best first."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

from bench.board.schema import Board, MetricGain
from bench.names import DEFAULT, TUNED, method_label
from reports.figures.views import own_settings
from reports.page import tables
from reports.view import Settings, View, kept_defaults
from reports.wording import (
    full_name,
    interval_text,
    score_digits,
    signed_text,
)

Place = tuple[str, str, int, str]  # as `kept_defaults` names rows
MOST = 30  # methods of a view, besides those that are resolved
NOT_TESTED = "not tested"
RESOLVED = ("better", "worse")


class ForestRow(NamedTuple):
    """One method of a view; `lo` and `hi` are the adjusted interval.

    `repeats` marks tuned rows that kept the defaults: beside the default row they are left out.
    """

    labelled: int
    metric: str
    settings: str
    name: str
    id: str
    mean: float
    lo: float | None
    hi: float | None
    draws: tuple[float, ...]
    word: str
    number: str
    interval: str
    repeats: bool


RowGroups = dict[tuple[int, str], list[ForestRow]]  # by labelled patients and metric


def forest_rows(board: Board, view: View) -> list[ForestRow]:
    """The methods of a view, best first; of very many only the best and the resolved ones."""
    groups = group_rows(board, view.task, view.dataset)
    return best_and_resolved(choose_rows(groups[view.labelled, view.metric], view.settings))


def group_rows(board: Board, task: str, dataset: str) -> RowGroups:
    """All rows of a section by budget and metric, best first."""
    gains = [gain for gain in board.gains if (gain.task, gain.dataset) == (task, dataset)]
    repeated = kept_defaults(board)
    groups: RowGroups = defaultdict(list)
    for gain in gains:
        if math.isfinite(gain.mean):
            groups[gain.labelled, gain.metric].append(_make_row(board, gain, repeated))
    for rows in groups.values():
        rows.sort(key=_best_first)
    return groups


def choose_rows(rows: list[ForestRow], settings: Settings) -> list[ForestRow]:
    """The rows of a kind of settings; of all kinds without those that repeat another."""
    if settings == "all":
        return [row for row in rows if not row.repeats]
    return [row for row in rows if row.settings == settings]


def best_and_resolved(rows: list[ForestRow]) -> list[ForestRow]:
    """The first rows, and of the others those with a verdict."""
    kept = []
    for rank, row in enumerate(rows):
        if rank < MOST or row.word in RESOLVED:
            kept.append(row)
    return kept


def _make_row(board: Board, gain: MetricGain, repeated: frozenset[Place]) -> ForestRow:
    place = (gain.task, gain.dataset, gain.labelled, gain.method)
    repeats = gain.variant == TUNED and place in repeated
    known = board.column(gain.metric).digits
    name = full_name(board, gain.method, gain.variant)
    if repeats:
        name = f"{full_name(board, gain.method, DEFAULT)} (tuned = default)"
    low, high = gain.adjusted_lo, gain.adjusted_hi
    row = ForestRow(
        labelled=gain.labelled,
        metric=gain.metric,
        settings=own_settings(gain.variant),
        name=name,
        id=method_label(gain.method, gain.variant),
        mean=_rounded(gain.mean),
        lo=None,
        hi=None,
        draws=tuple(_rounded(draw) for draw in gain.draws if math.isfinite(draw)),
        word=NOT_TESTED,
        number=signed_text(gain.mean, score_digits(known, None)),
        interval="",
        repeats=repeats,
    )
    if low is None or high is None or gain.verdict is None:
        return row
    digits = score_digits(known, (high - low) / 2)
    return row._replace(
        lo=_rounded(_possible(low, gain.metric)),
        hi=_rounded(_possible(high, gain.metric)),
        word=gain.verdict,
        number=signed_text(gain.mean, digits),
        interval=interval_text(low, high, digits),
    )


def _possible(end: float, metric: str) -> float:
    """The end of a bar: no gain in a share leaves [-1, 1], however few the draws."""
    return tables.clip(end, "gain") if metric in tables.SHARES else end


def _rounded(value: float) -> float:
    """Short in the page, and still finer than a pixel."""
    return float(f"{value:.4g}")


def _best_first(row: ForestRow) -> tuple[float, str]:
    return (-row.mean, row.name)
