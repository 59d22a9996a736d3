"""Result folders, and their runs in MLflow as a user sees them."""

from __future__ import annotations

import json
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
    file = store.out / "plan.json"
    plan = json.loads(file.read_text())
    plan["header"]["name"] = name
    write_json(file, plan)


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
