"""A suite planned and run in a few lines, as the command line does it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import stages
from bench.board.schema import Board
from bench.execution.progress import Progress
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import read_plan
from bench.planning.suite import Suite
from bench.stages import Bench, RunOptions
from bench.store import Store
from bench.verify import verify
from reports import write

PLUGIN_FOLDER = Path(__file__).parent.parent / "plugins"
PLUGINS = sorted(PLUGIN_FOLDER.glob("*.py"))
TOY: dict[str, Any] = {
    "name": "toy",
    "title": "Toy",
    "datasets": ["tiny"],
    "fractions": [0.3, 1.0],
    "subsets": 2,
    "methods": ["threshold"],
    "reference": "threshold",
    "size": [16, 16],
    "steps": 3,
    "time_limit_s": 60,
}


def toy_suite(**changes: Any) -> Suite:
    """A small suite on the tiny data set of the plug-ins; keys may be changed."""
    return Suite(**{**TOY, **changes})


def plan(suite: Suite, store: Store, plugins: Sequence[Path] = PLUGINS, **options: Any) -> Bench:
    """A suite planned into a folder."""
    return stages.plan_bench(suite, None, store, RunOptions(plugins=plugins, **options))


def run(suite: Suite, store: Store, plugins: Sequence[Path] = PLUGINS, **options: Any) -> Progress:
    """A suite planned, run and scored."""
    return stages.run(plan(suite, store, plugins, **options), lambda progress: None)


def report(store: Store, formats: str = stages.ALL_FORMATS, **options: bool) -> tuple[Board, Path]:
    """The board of a folder, drawn in every format."""
    return stages.report(store, write, formats, **options)


def planned(store: Store, **labels: Any) -> list[PlannedCell]:
    """The cells of a folder that have all of the labels."""
    cells = []
    for cell in read_plan(store.out).cells:
        if all(getattr(cell, name) == value for name, value in labels.items()):
            cells.append(cell)
    return cells


def mismatches(store: Store, deep: bool = False) -> list[str]:
    """What `verify` finds to differ, in words."""
    checks = verify.verify(store, write, deep)
    return [str(mismatch) for check in checks for mismatch in check.mismatches]
