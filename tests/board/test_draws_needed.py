"""How many draws a gain needs: from the board's own scores, and before a run."""

import re
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.board.build import build
from bench.board.comparisons import note_text, planning_notes
from bench.board.rows import RowCells
from bench.board.schema import PlanningNote
from bench.board.shared_draws import Budget
from bench.dry_run import planning_lines
from bench.names import RowId
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import read_plan
from bench.stats.planning import (
    OF_LONG_RUNS,
    OF_SHORT_RUNS,
    Components,
    half_width,
    measured_components,
    planning_sentence,
)
from bench.store import Store
from tests.support.boards import planned_cell, scored_row

ROOT = Path(__file__).parents[2]
MEASURED = ("supervised", "mean_teacher", "ss_net", "sgrs_net")  # of boards/acdc
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
    [note] = planning_notes([Budget(simulated_rows(draws=5))], "m00")
    assert (note.task, note.dataset, note.labelled) == ("segmentation", "d", 4)
    assert note.text.startswith("5 draws, adjusted for 11 gains: half-width now 0.")
    found = re.search("now ([0-9.]+);", note.text)
    expected = half_width(TRUE, 200, 5, 12, comparisons=11)
    assert found is not None and expected is not None
    assert float(found[1]) == pytest.approx(expected, rel=0.15)
    assert note.text.count("a gain of") == 2 and note.text.endswith(".")


def test_one_draw_or_one_method_measures_nothing() -> None:
    assert planning_notes([Budget(simulated_rows(draws=1))], "m00") == []
    assert planning_notes([Budget(simulated_rows(draws=3, methods=1))], "m00") == []


def planned(method: str, subset: int, **changes: object) -> PlannedCell:
    return planned_cell(method=method, subset=subset, fraction=0.1, **changes)


def test_before_a_run_the_demo_stands_in_and_finished_cells_take_its_place() -> None:
    cells = [planned(f"m{number}", subset) for number in range(3) for subset in range(4)]
    refused = planned("m9", 0, refusal="needs colour")
    alone = planned("m0", 0, labelled=40)
    [line] = planning_lines([*cells, refused, alone], {"d": 20}, [])
    assert line.startswith("d, 4 labelled, 4 draws, adjusted for 2 gains: half-width now ")
    sentence = planning_sentence(OF_SHORT_RUNS.components, 20, 4, 3, comparisons=2)
    assert sentence in line and line.endswith("vary as after 100 steps on phantoms.")
    note = PlanningNote("segmentation", "d", 4, 0.1, "measured.")
    assert planning_lines(cells, {"d": 20}, [note]) == ["d, 4 labelled, measured."]


def test_long_trainings_are_assumed_to_vary_as_on_the_published_board() -> None:
    """As after 100 steps on phantoms, no number of draws seemed to resolve anything."""
    cells = [planned(f"m{number}", subset, steps=2000) for number in range(3) for subset in (0, 1)]
    [line] = planning_lines(cells, {"d": 20}, [])
    assert planning_sentence(OF_LONG_RUNS.components, 20, 2, 3, comparisons=2) in line
    assert line.endswith("Assumes that differences vary as on the published board of ACDC.")


def test_what_is_assumed_of_long_trainings_is_what_the_board_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[Components | None] = []

    def recorded(differences: NDArray[np.float64]) -> Components | None:
        measured.append(measured_components(differences))
        return measured[-1]

    monkeypatch.setattr("bench.board.comparisons.measured_components", recorded)
    store = Store(ROOT / "boards" / "acdc")
    plan = read_plan(store.out)
    cells = [cell for cell in plan.cells if cell.method in MEASURED]  # others may add rows
    build(store, replace(plan, cells=cells))
    [components] = [each for each in measured if each is not None]
    assert components is not None
    rounded = [round(value, 3) for value in astuple(components)]
    assert rounded == list(astuple(OF_LONG_RUNS.components))


def test_classification_is_planned_from_finished_cells_only() -> None:
    cells = [planned(f"m{number}", 0, task="classification") for number in range(2)]
    assert planning_lines(cells, {"d": 20}, []) == []


def test_one_draw_has_no_half_width() -> None:
    text = note_text(OF_SHORT_RUNS.components, 100, 1, 2)
    assert text.startswith("1 draw: a gain of 0.05 ") and "half-width" not in text


def test_at_all_labels_trainings_are_repeated_and_nothing_is_drawn() -> None:
    """The sentence once asked for more draws where nothing but the seed differs."""
    rows = [replace(row, fraction=1.0) for row in simulated_rows(draws=5)]
    [note] = planning_notes([Budget(rows)], "m00")
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
