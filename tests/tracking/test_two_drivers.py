"""Two runs of one suite into one folder at once, with tuning and the mirror in MLflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import tracking
from bench.store import Store
from tests.support.tiny_bench import PLUGIN_FOLDER
from tests.support.tuned_bench import TUNED

ROOT = Path(__file__).parents[2]
# The toy method, which also takes down what it is fitted on: `clear` removes the logs of cells.
COUNTED = """
import time
from pathlib import Path


class Counted(Shifted):
    def fit(self, view, run):
        with Path({fits!r}).open("a") as fits:
            fits.write(f"{{run.folder.path.parent.parent}} {{run.folder.key}}\\n")
        time.sleep(0.3)
        super().fit(view, run)


METHOD = Counted
"""


def write_bench(folder: Path) -> list[str]:
    """A suite that tunes, with its plug-ins; the words after `run` but for --out."""
    source = (PLUGIN_FOLDER / "shifted.py").read_text()
    fits = COUNTED.format(fits=str(folder / "fits.txt"))
    (folder / "counted.py").write_text(source + fits)
    tuning = {"trials": 2, "per": "subset", "folds": 2}
    methods = {"methods": ["counted"], "reference": "counted"}
    suite = {**TUNED, **methods, "fractions": [1.0], "tuning": tuning}
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))
    plugins = [folder / "counted.py", PLUGIN_FOLDER / "tiny.py"]
    return [str(folder / "suite.yaml"), *(f"--plugin={file}" for file in plugins)]


def start(words: list[str], out: Path, uri: str) -> subprocess.Popen[str]:
    """A run into a folder, mirrored at an address, or not if that is empty."""
    command = [sys.executable, str(ROOT / "run_bench.py"), "run", *words, "--out", str(out)]
    mirror = {"MLFLOW_TRACKING_URI": uri} if uri else {"SCARCEBENCH_MLFLOW": "off"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env={**os.environ, **mirror}, **pipes)


def board_of(out: Path) -> dict[str, Any]:
    """The board without what differs from run to run: times, versions."""
    board: dict[str, Any] = json.loads((out / "board.json").read_text())
    for name in ("cost", "provenance"):
        board.pop(name)
    return board


def all_runs(store: Store, uri: str) -> list[Any]:
    """Every run of the experiment of a folder, those that were replaced included."""
    from mlflow.entities import ViewType

    mirror = tracking.Mirror(store, uri)
    experiments = [mirror.experiment]
    return list(mirror.client.search_runs(experiments, run_view_type=ViewType.ALL))


@pytest.mark.slow
def test_two_drivers_with_tuning_and_mirror_are_as_good_as_one(tmp_path: Path, uri: str) -> None:
    """Of two starts one used to end in StorageInternalError, as both wrote study.part (L4).

    Later, the second one replaced the studies that the first had mirrored.
    """
    words = write_bench(tmp_path)
    alone, shared = tmp_path / "alone" / "tuned", tmp_path / "shared" / "tuned"
    assert start(words, alone, "").wait(timeout=200) == 0
    drivers = [start(words, shared, uri) for _ in range(2)]
    for driver in drivers:
        out, err = driver.communicate(timeout=200)
        assert driver.returncode == 0, err
        assert "Traceback" not in out + err
    fits = Counter((tmp_path / "fits.txt").read_text().splitlines())
    assert set(fits.values()) == {1}
    keys = {folder.name for folder in (shared / "cells").iterdir()}
    assert keys == {folder.name for folder in (alone / "cells").iterdir()}
    assert board_of(shared) == board_of(alone)
    tracking.sync(Store(shared), uri)  # where a slow machine let a driver wait too long for a lock
    runs = all_runs(Store(shared), uri)
    names = Counter(run.info.run_name for run in runs)
    assert {name: count for name, count in names.items() if count > 1} == {
        "trial 0": 2,  # of each study
        "trial 1": 2,
    }
    assert sum(name.startswith("tuning of") for name in names) == 2
    assert not [run for run in runs if run.info.lifecycle_stage == "deleted"]
