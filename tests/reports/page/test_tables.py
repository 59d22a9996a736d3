"""The rows of a board, grouped and put into words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.board.schema import Board, PlanningNote
from reports.formats.csv_json import rows_csv
from reports.page import tables
from reports.page.lean_table import gain_interval
from reports.page.page import render_page
from reports.page.tables import Problem
from tests.support.gains import seven_methods


def test_display_is_clipped_but_data_are_not(board: Board) -> None:
    row = next(row for row in board.rows if row.fraction == 1 and row.metric == "dice")
    assert row.hi is not None and row.hi > 1
    assert tables.interval(row, 3) == "[0.651, 1.000]"
    assert tables.interval(replace(row, metric="hd95", lo=-2.0, hi=9.0), 1) == "[0.0, 9.0]"
    assert str(row.hi) in rows_csv(board)


def test_what_more_draws_would_show_stands_below_the_answer(
    board: Board, parse: Callable[[str], Any]
) -> None:
    note = PlanningNote("segmentation", "photos", 4, 0.1, "3 draws: half-width now 0.12.")
    text = parse(render_page(replace(board, planning=[note]), [], [])).text
    assert text.count("Precision: 3 draws: half-width now 0.12.") == 1
    assert text.count("Precision:") == 1


def test_lines_come_by_budget_then_baselines_then_by_dice(board: Board, hostile: str) -> None:
    order = [
        (b.labelled, [entry.label for entry in b.entries])
        for b in tables.budgets_of(board, Problem("segmentation", "phantoms"))
    ]
    assert order == [
        (4, ["supervised", hostile, "smile"]),
        (8, ["mean_teacher", "supervised", "ss_net"]),
        (40, ["supervised"]),
    ]


def test_a_gain_of_one_draw_has_no_interval() -> None:
    """That over patients alone stood beside "not tested", and looked like an answer."""
    gain = seven_methods()[0]
    assert len(gain.subsets) > 1
    assert gain_interval(gain) == (gain.adjusted_lo, gain.adjusted_hi)
    single = replace(gain, subsets=gain.subsets[:1], adjusted_lo=None, adjusted_hi=None, p=None)
    assert gain_interval(single) is None
