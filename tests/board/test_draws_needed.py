"""How many draws a gain needs: from the board's own scores, and before a run."""

import re
from dataclasses import replace

import numpy as np
import pytest

from bench.board.comparisons import note_text, planning_notes
from bench.board.rows import RowCells
from bench.board.schema import PlanningNote
from bench.board.shared_draws import Budget
from bench.dry_run import planning_lines
from bench.names import RowId
from bench.planning.cells import PlannedCell
from bench.stats.planning import (
    DEFAULT_COMPONENTS,
    Components,
    half_width,
    planning_sentence,
)
from tests.support.boards import planned_cell, scored_row

random = np.random.default_rng(0)
TRUE = Components(draw=0.05, patient=0.1, rest=0.1)


def simulated_rows(draws: int, patients: int = 200, methods: int = 12) -> list[RowCells]:
    """Methods whose differences have the components TRUE."""
    rows = []
    scale = 0.5**0.5  # of one method: a difference has two
    for number in range(methods):
        table = random.normal(0.6, TRUE.rest * scale, (patients, draws))
        table += random.normal(0, TRUE.patient * scale, (patients, 1))
        table += random.normal(0, TRUE.draw * scale, (1, draws))
        row = RowId("segmentation", "d", 4, f"m{number:02}", "default")
        rows.append(scored_row(row, table))
    return rows


def test_a_board_is_planned_by_the_variance_of_its_differences() -> None:
    [note] = planning_notes([Budget(simulated_rows(draws=5))])
    assert (note.task, note.dataset, note.labelled) == ("segmentation", "d", 4)
    assert note.text.startswith("5 draws, adjusted for 11 gains: half-width now 0.")
    found = re.search("now ([0-9.]+);", note.text)
    expected = half_width(TRUE, 200, 5, 12, comparisons=11)
    assert found is not None and expected is not None
    assert float(found[1]) == pytest.approx(expected, rel=0.15)
    assert note.text.count("a gain of") == 2 and note.text.endswith(".")


def test_one_draw_or_one_method_measures_nothing() -> None:
    assert planning_notes([Budget(simulated_rows(draws=1))]) == []
    assert planning_notes([Budget(simulated_rows(draws=3, methods=1))]) == []


def planned(method: str, subset: int, **changes: object) -> PlannedCell:
    return planned_cell(method=method, subset=subset, fraction=0.1, **changes)


def test_before_a_run_the_demo_stands_in_and_finished_cells_take_its_place() -> None:
    cells = [planned(f"m{number}", subset) for number in range(3) for subset in range(4)]
    refused = planned("m9", 0, refusal="needs colour")
    alone = planned("m0", 0, labelled=40)
    [line] = planning_lines([*cells, refused, alone], {"d": 20}, [])
    assert line.startswith("d, 4 labelled, 4 draws, adjusted for 2 gains: half-width now ")
    sentence = planning_sentence(DEFAULT_COMPONENTS, 20, 4, 3, comparisons=2)
    assert sentence in line and line.endswith("vary as after 100 steps on phantoms.")
    note = PlanningNote("segmentation", "d", 4, 0.1, "measured.")
    assert planning_lines(cells, {"d": 20}, [note]) == ["d, 4 labelled, measured."]


def test_classification_is_planned_from_finished_cells_only() -> None:
    cells = [planned(f"m{number}", 0, task="classification") for number in range(2)]
    assert planning_lines(cells, {"d": 20}, []) == []


def test_one_draw_has_no_half_width() -> None:
    text = note_text(DEFAULT_COMPONENTS, 100, 1, 2)
    assert text.startswith("1 draw: a gain of 0.05 ") and "half-width" not in text


def test_at_all_labels_trainings_are_repeated_and_nothing_is_drawn() -> None:
    """The sentence once asked for more draws where nothing but the seed differs."""
    rows = [replace(row, fraction=1.0) for row in simulated_rows(draws=5)]
    [note] = planning_notes([Budget(rows)])
    assert note.text.startswith("5 repeats, adjusted for 11 gains: half-width now 0.")
    assert " repeats" in note.text and "draw" not in note.text
    cells = [replace(planned(f"m{number}", 0), fraction=1.0) for number in range(2)]
    [line] = planning_lines(cells, {"d": 20}, [])
    assert line.startswith("d, 4 labelled, 1 repeat: a gain of 0.05 ")


def test_before_a_run_with_outer_folds_their_draws_are_counted_by_fold() -> None:
    cells = [planned(f"m{number}", subset) for number in range(3) for subset in range(10)]
    [line] = planning_lines(cells, {"d": 30}, [], folds=5)
    assert line.startswith(
        "d, 4 labelled, 2 draws in each of 5 folds, adjusted for 2 gains: half-width now "
    )
    assert line.endswith("Assumes that differences vary as after 100 steps on phantoms.")
