"""The demo suite, really trained: few labels are hard, and a second run gives the same board."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import stages
from bench.board.build import build
from bench.planning import suite_file, suite_parts
from bench.store import Store
from tests.support.tiny_bench import plan, report, run

DEMO = Path(__file__).parent.parent / "suites" / "demo.yaml"


def run_demo(folder: Path, workers: int) -> dict[str, Any]:
    """board.json without costs of a new run of the demo's quick size at 10%, with tuning."""
    store = Store(folder / "demo")
    changes = {"fractions": [0.1], "subsets": {0.1: 1}}
    loaded = suite_file.load(DEMO, "quick").model_copy(update=changes)
    bench, _ = stages.tune(plan(loaded, store, [], workers=workers), lambda _: None)
    assert stages.run(bench, lambda _: None).failed == 0
    report(store)
    board: dict[str, Any] = json.loads((store.out / "board.json").read_text())
    assert board.pop("cost")
    return board


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_demo(tmp_path_factory.mktemp("first"), workers=2)


@pytest.mark.slow
def test_few_labels_are_hard_on_phantoms(tmp_path: Path) -> None:
    """The gate: above 0.80 with all labels, 8 points lower with 10%; single draws vary, so six."""
    store = Store(tmp_path / "gate")
    alone = {
        "methods": [suite_parts.Entry(method="supervised")],
        "subsets": {0.1: 6, 1.0: 2},
        "tuning": None,
    }
    loaded = suite_file.load(DEMO, steps=150).model_copy(update=alone)
    assert run(loaded, store, []).failed == 0
    dice = {row.fraction: row.mean for row in build(store).rows if row.metric == "dice"}
    assert dice[1.0] > 0.80
    assert dice[0.1] <= dice[1.0] - 0.08


@pytest.mark.slow
def test_two_runs_give_one_board(board: dict[str, Any], tmp_path: Path) -> None:
    """Also when one worker does the work of two."""
    assert run_demo(tmp_path, workers=1) == board
