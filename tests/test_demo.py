"""The demo suite, really trained: few labels are hard, and a second run gives the same board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.board.build import build
from bench.planning import suite_file
from bench.planning.suite_parts import Entry
from bench.store import Store
from tests.support.golden_rows import DEMO, QUICK_DEMO, compare_rows, run_quick_demo
from tests.support.tiny_bench import run


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_quick_demo(tmp_path_factory.mktemp("first"), workers=2)


@pytest.mark.slow
def test_few_labels_are_hard_on_phantoms(tmp_path: Path) -> None:
    """The gate: above 0.85 with all labels, 10 points lower with 10%; single draws vary, so six."""
    store = Store(tmp_path / "gate")
    alone = {
        "methods": [Entry(method="supervised")],
        "fractions": [0.1, 1.0],
        "reference_budgets": [],
        "subsets": {0.1: 6, 1.0: 2},
        "tuning": None,
    }
    loaded = suite_file.load(DEMO, steps=400).model_copy(update=alone)
    assert run(loaded, store, []).failed == 0
    dice = {row.fraction: row.mean for row in build(store).rows if row.metric == "dice"}
    assert dice[1.0] > 0.85
    assert dice[0.1] <= dice[1.0] - 0.10


@pytest.mark.slow
def test_the_quick_demo_gives_the_rows_it_gave(board: dict[str, Any]) -> None:
    compare_rows(board["rows"], QUICK_DEMO)


@pytest.mark.slow
def test_two_runs_give_one_board(board: dict[str, Any], tmp_path: Path) -> None:
    """Also when one worker does the work of two."""
    assert run_quick_demo(tmp_path, workers=1) == board
