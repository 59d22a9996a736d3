"""The label curve: what is drawn, and that methods can be told apart."""

from __future__ import annotations

from dataclasses import replace

from bench.board.schema import Board
from reports.page.label_curve import draw_label_curve, find_look
from reports.page.tables import Problem


def test_every_subset_is_a_dot(board: Board) -> None:
    mine = [point for point in board.points if point.dataset == "phantoms"]
    series = 4 + 4  # lines of a mean, and their names at the border: a mark each
    svg = draw_label_curve(board, Problem("segmentation", "phantoms"), "c")
    assert svg.count("<use ") >= len(mine) + series
    assert "</b>" not in svg and "&lt;b&gt;x" in svg
    assert "#01010" not in svg and "#0404" not in svg and "var(--series-0)" in svg


def test_one_budget_alone_can_be_drawn(board: Board) -> None:
    few = replace(board, rows=[row for row in board.rows if row.labelled in (4, 40)])
    assert draw_label_curve(few, Problem("segmentation", "phantoms"), "c").count("10%") >= 1
    assert draw_label_curve(replace(board, rows=[]), Problem("segmentation", "phantoms"), "c") == ""


def test_no_two_methods_look_alike() -> None:
    """Found on a page of fourteen methods: the ninth had the colour and the marker of the first."""
    assert len({find_look(style) for style in range(64)}) == 64
