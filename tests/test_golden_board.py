"""Rows of boards of phantoms from before the code was laid out anew: numbers must not move.

Only seeds of shared parts and of samplers were freed from the hash of the code before that. Fields
that say how certain a number is are not compared: intervals, ranks and ties come from other
statistics since differences share the variance between draws (R4.1b), which tests/stats and
tests/board hold. Means, counts and status are those that they were.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench import stages
from bench.board.build import build
from bench.planning import suite_file
from bench.store import Store
from tests.support.tiny_bench import plan, report, run

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden"
DEMO = ROOT / "suites" / "demo.yaml"
# Sums in another order, as other processors take them, move a training of 40 steps by a little.
ELSEWHERE = 0.02
STATISTICAL = frozenset({"lo", "hi", "interval", "rank_lo", "rank_hi", "tie_group", "first"})
# Columns that the golden rows do not have.
LATER = frozenset({"verdict", "adjusted_lo", "adjusted_hi", "p", "short_form"})


def processor() -> str:
    """The model of this machine's processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def compare_rows(rows: list[dict[str, Any]], file: Path) -> None:
    """Every label, count and status is equal; every mean within what processors differ by."""
    golden = json.loads(file.read_text())
    same_processor = golden["processor"] == processor()
    tolerance = 1e-9 if same_processor else ELSEWHERE
    assert len(rows) == len(golden["rows"])
    for row, kept in zip(rows, golden["rows"], strict=True):
        assert row.keys() == kept.keys() | LATER
        for name, value in kept.items():
            if name in STATISTICAL:
                continue
            if isinstance(value, float):
                assert row[name] == pytest.approx(value, rel=tolerance, abs=tolerance), (row, name)
            else:
                assert row[name] == value, (row, name)


@pytest.mark.slow
def test_the_quick_demo_gives_the_rows_it_gave(tmp_path: Path) -> None:
    store = Store(tmp_path / "demo")
    changes = {"fractions": [0.1], "subsets": {0.1: 1}}
    loaded = suite_file.load(DEMO, "quick").model_copy(update=changes)
    bench, _ = stages.tune(plan(loaded, store, [], workers=2), lambda _: None)
    assert stages.run(bench, lambda _: None).failed == 0
    report(store)
    rows = json.loads((store.out / "board.json").read_text())["rows"]
    compare_rows(rows, GOLDEN / "quick_demo_rows.json")


@pytest.mark.slow
def test_trained_phantoms_give_the_rows_they_gave(tmp_path: Path) -> None:
    store = Store(tmp_path / "demo")
    loaded = suite_file.load(DEMO, steps=40)
    names = ("supervised", "mean_teacher", "ss_net")
    methods = [entry for entry in loaded.methods if entry.method in names]
    changes = {"methods": methods, "tuning": None, "subsets": {0.1: 2, 1.0: 1}}
    assert run(loaded.model_copy(update=changes), store, [], workers=2).failed == 0
    rows = [asdict(row) for row in build(store).rows]
    compare_rows(rows, GOLDEN / "trained_phantoms_rows.json")
