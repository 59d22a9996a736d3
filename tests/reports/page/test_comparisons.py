"""Methods compared: every number of the board is on the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench.board.schema import Board
from reports.page import comparisons
from reports.page.page import render_page

Words = Callable[[str], str]


def test_a_pair_is_seen_from_both_sides_and_in_all_its_numbers(
    compared_text: str, words: Words
) -> None:
    seen = words(compared_text)
    assert "SS supervised +0.062 [0.031, 0.092] 81.2% 0.004 0.002" in seen
    assert "SS · +0.062**" in seen and "supervised −0.062** ·" in seen
    assert (
        "supervised minus SS: 95% CI [-0.092, -0.031]; better on 18.8% of pairs; p 0.004"
        in compared_text
    )


def test_marks_ask_for_a_significant_and_a_large_difference(compared: Board) -> None:
    marks = []
    for p, superiority in ((0.01, 0.8), (0.01, 0.2), (0.01, 0.6), (0.06, 0.9)):
        pair = replace(compared.pairs[0], p=p, superiority=superiority)
        marks.append(comparisons.significance_mark(pair))
    assert marks == ["**", "**", "*", ""]


def test_a_pair_without_a_test_says_so(compared: Board, words: Words) -> None:
    pair = replace(compared.pairs[0], p=None, false_outperformance=None)
    text = render_page(replace(compared, pairs=[pair]), [], [])
    assert "SS supervised +0.062 [0.031, 0.092] 81.2% not tested" in words(text)
    assert "better on 18.8% of pairs; not tested" in text
    assert comparisons.significance_mark(pair) == ""


def test_rank_shares_are_stacked_and_told(compared_text: str, words: Words) -> None:
    assert comparisons.stack_shares([0.875, 0.125], 2) == [
        (0.0, 87.5, 100.0, 1),
        (87.5, 12.5, 12.0, 2),
    ]
    assert "1: 87.5%, 2: 12.5%" in words(compared_text)
    reason = "With one test patient, or one draw of the labels, ranks cannot be simulated."
    assert reason in words(compared_text)


def test_orderings_under_three_rules(compared_text: str, words: Words) -> None:
    assert "SS 1 (0.712) 1 (1.250) 2 (0.123)" in words(compared_text)
    assert "by mean and by the score that 95% of cases reach -1.00" in words(compared_text)
