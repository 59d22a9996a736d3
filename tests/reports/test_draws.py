"""Draws, repeats and outer folds: which word stands where, on the whole page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bench.board.schema import Board
from reports.draws import draw_label, draws_of_folds, draws_word, single_means, spoken_draws
from reports.formats.main_table import main_tables
from reports.page.banner import fact_line
from reports.page.page import render_page
from reports.page.sources import problem_sources
from reports.page.tables import Problem

PROBLEM = Problem("segmentation", "phantoms")
PLACE = ("segmentation", "phantoms")


def with_budgets(board: Board, chosen: Callable[[float], bool], folds: int | None = None) -> Board:
    """The board with those of its budgets, maybe with outer folds."""
    rows = [row for row in board.rows if chosen(row.fraction)]
    return replace(board, rows=rows, suite=replace(board.suite, outer_folds=folds))


def test_all_labels_are_not_drawn(golden: Board) -> None:
    """The captions said "draw" where nothing but the seed differs."""
    low = with_budgets(golden, lambda fraction: fraction < 1)
    full = with_budgets(golden, lambda fraction: fraction == 1)
    assert draws_word([0.1, 0.2]) == "draws"
    assert draws_word([1.0]) == "repeats"
    assert draws_word([0.1, 1]) == "draws or repeats"
    assert single_means(low, *PLACE) == "one draw of the labelled patients"
    assert single_means(full, *PLACE) == "one repeat of the training"
    assert single_means(golden, *PLACE) == (
        "one draw of the labelled patients, or with all patients labelled, one repeat of the "
        "training"
    )
    assert draw_label(full, 1, 1.0) == "repeat 2"
    assert spoken_draws(full, 2, True, "patients") == "two repeats of each training"
    of_problem = problem_sources(golden, PROBLEM)
    assert of_problem["repeats"] and all("40" in name for name in of_problem["repeats"])


def test_with_outer_folds_a_mean_of_a_draw_is_one_of_a_fold(golden: Board) -> None:
    folded = with_budgets(golden, lambda fraction: fraction < 1, folds=5)
    folded = replace(folded, rows=[replace(row, n_subsets=10) for row in folded.rows])
    assert single_means(folded, *PLACE) == "one draw of the labelled patients in one fold"
    assert draw_label(folded, 7, 0.1) == "draw 2, fold 3"
    assert draws_of_folds(folded, 5, 0.1) == "1 draw in each of 5 folds"
    assert spoken_draws(folded, 10, False, "patients") == "five folds"
    assert "2 draws in each of 5 folds" in fact_line(folded, PROBLEM)
    assert problem_sources(folded, PROBLEM)["folds"] == 5


def test_tables_for_papers_say_what_their_means_are_over(golden: Board) -> None:
    full = [replace(row, fraction=1.0) for row in golden.rows]
    for folds, low_words, full_words in (
        (None, "and 3 draws.", "and 3 repeats."),
        (3, "and 1 draw in each of 3 folds.", "and 1 repeat in each of 3 folds."),
    ):
        suite = replace(golden.suite, outer_folds=folds)
        captions = [table.caption for table in main_tables(replace(golden, suite=suite))]
        assert all(low_words in caption for caption in captions) and captions
        board = replace(golden, suite=suite, rows=full)
        captions = [table.caption for table in main_tables(board)]
        assert all(full_words in caption for caption in captions) and captions


@pytest.mark.parametrize(("folds", "count"), [(None, 0), (5, 2)])
def test_pictures_say_that_they_are_of_the_first_fold(
    board: Board, panels: Any, folds: int | None, count: int, parse: Callable[[str], Any]
) -> None:
    """Cases of other folds were tested too, and none of them is shown."""
    folded = replace(board, suite=replace(board.suite, outer_folds=folds))
    text = parse(render_page(folded, panels, [])).text
    assert text.count("all cases are of the first of 5 folds") == count
