"""Rows of leaderboards of phantoms that must not move.

Where the drawing, a method or the demo is meant to change them, write them anew and say so:

    python -m tests.support.golden_rows

Fields that say how certain a number is are not compared: they follow from statistics that
tests/stats and tests/board hold. Means, counts and status must be those that they were.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench import stages
from bench.board.build import build
from bench.planning import suite_file
from bench.store import Store
from tests.support.tiny_bench import plan, report, run

ROOT = Path(__file__).parent.parent.parent
DEMO = ROOT / "suites" / "demo.yaml"
QUICK_DEMO = ROOT / "tests" / "golden" / "quick_demo_rows.json"
TRAINED_PHANTOMS = ROOT / "tests" / "golden" / "trained_phantoms_rows.json"
# Sums in another order, as other processors take them, move a training of 40 steps by a little.
ELSEWHERE = 0.02
STATISTICAL = frozenset({"lo", "hi", "interval", "rank_lo", "rank_hi", "tie_group", "first"})
# Columns that the golden rows do not have.
LATER = frozenset({"verdict", "adjusted_lo", "adjusted_hi", "p", "short_form"})

Rows = Sequence[dict[str, Any]]


def run_quick_demo(folder: Path, workers: int) -> dict[str, Any]:
    """board.json without costs of a run of the demo's quick size on one draw, with tuning."""
    store = Store(folder / "demo")
    loaded = suite_file.load(DEMO, "quick").model_copy(update={"subsets": {0.075: 1, 1.0: 1}})
    bench, _ = stages.tune(plan(loaded, store, [], workers=workers), lambda _: None)
    assert stages.run(bench, lambda _: None).failed == 0
    report(store)
    board: dict[str, Any] = json.loads((store.out / "board.json").read_text())
    assert board.pop("cost")
    return board


def train_on_phantoms(folder: Path) -> list[dict[str, Any]]:
    """Rows of three methods after 40 steps on two draws."""
    store = Store(folder / "demo")
    loaded = suite_file.load(DEMO, steps=40)
    names = ("supervised", "mean_teacher", "ss_net")
    methods = [entry for entry in loaded.methods if entry.method in names]
    changes = {"methods": methods, "tuning": None, "subsets": {0.075: 2, 1.0: 1}}
    assert run(loaded.model_copy(update=changes), store, [], workers=2).failed == 0
    return [asdict(row) for row in build(store).rows]


def compare_rows(rows: Rows, file: Path) -> None:
    """Every label, count and status is equal; every mean within what processors differ by."""
    golden = json.loads(file.read_text())
    tolerance = ELSEWHERE
    if golden["processor"] == processor():
        tolerance = 1e-9
    assert len(rows) == len(golden["rows"])
    for row, kept in zip(rows, golden["rows"], strict=True):
        assert row.keys() - LATER == kept.keys()
        for name, value in kept.items():
            if name in STATISTICAL:
                continue
            if isinstance(value, float):
                assert row[name] == pytest.approx(value, rel=tolerance, abs=tolerance), (row, name)
            else:
                assert row[name] == value, (row, name)


def processor() -> str:
    """The model of this machine's processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def write_rows(rows: Rows, file: Path) -> None:
    """Keep rows with the processor that they come from, a line for each."""
    lines = []
    for row in rows:
        kept = {name: value for name, value in row.items() if name not in LATER}
        lines.append(f"  {json.dumps(kept)}")
    text = ",\n".join(lines)
    file.write_text(f'{{\n "processor": {json.dumps(processor())},\n "rows": [\n{text}\n ]\n}}\n')


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_rows(run_quick_demo(Path(folder) / "quick", 2)["rows"], QUICK_DEMO)
        write_rows(train_on_phantoms(Path(folder) / "trained"), TRAINED_PHANTOMS)
