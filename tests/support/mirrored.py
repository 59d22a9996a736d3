"""Result folders, and their runs in MLflow as a user sees them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import tracking
from bench.files.records import write_json
from bench.planning.cells import PlannedCell
from bench.store import Store
from tests.support import tiny_bench
from tests.support.sealed import edit_sealed, finish_again

ROOT = Path(__file__).parents[2]
START = """
import sys
from pathlib import Path
from bench import tracking
from bench.store import Store
store = Store(Path(sys.argv[1]))
"""
SYNC = f"{START}print(tracking.sync(store))"
GOOD = "threshold on tiny, 2 labelled, subset 0"
BAD = "faulty (bad) on tiny, 2 labelled, subset 0"


def rename(store: Store, name: str) -> None:
    """Give a folder another name of its suite, and so another experiment."""
    edit_sealed(store.out / "plan.json", lambda plan: plan["header"].update(name=name))


def runs(store: Store, uri: str) -> dict[str, Any]:
    """The runs of a folder that a user sees, by name; no name twice."""
    listed = tracking.Mirror(store, uri)._find_runs()
    by_name = {run.info.run_name: run for run in listed}
    assert len(by_name) == len(listed)
    return by_name


def cell(store: Store, method: str) -> PlannedCell:
    """The one cell of a method."""
    [planned] = tiny_bench.planned(store, method=method)
    return planned


def write_history(store: Store, history: dict[str, Any]) -> None:
    """Give the finished cell other curves, as if its method had logged them."""
    folder = store.cell(cell(store, "threshold").key)
    write_json(folder.path / "history.json", history)
    finish_again(folder)


def start(code: str, store: Store, **environment: str) -> subprocess.Popen[str]:
    """A process that runs some code on a folder."""
    return subprocess.Popen(
        [sys.executable, "-c", code, str(store.out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
