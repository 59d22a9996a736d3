"""The small suites that the campaign runs, and the board of an undisturbed run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.support.tiny_bench import PLUGIN_FOLDER
from tests.torture import commands

FIXED = ("cost", "provenance")  # what differs between two runs of one suite: times, versions
SUITE: dict[str, Any] = {
    "name": "tortured",
    "title": "Tortured",
    "datasets": ["tiny"],
    "fractions": [0.4, 1.0],
    "subsets": 2,
    "methods": ["shifted", {"method": "threshold", "variant": "plain"}],
    "reference": "shifted",
    "size": [16, 16],
    "steps": 2,
    "time_limit_s": 60,
    "tuning": {"trials": 3, "per": "subset", "folds": 2},
}
PLUGINS = ("shifted", "threshold", "tiny")


def write_suite(folder: Path, **changes: Any) -> Path:
    """The suite as a file; keys may be changed."""
    file = folder / "suite.yaml"
    file.write_text(yaml.safe_dump({**SUITE, **changes}))
    return file


def options(*plugins: str) -> list[str]:
    """The options that name the plug-ins of the suite."""
    words = []
    for name in plugins or PLUGINS:
        words += ["--plugin", str(PLUGIN_FOLDER / f"{name}.py")]
    return words


def run_suite(folder: Path, limit_s: float = 120) -> commands.Ended:
    """The suite in `folder`, run into folder/out."""
    return commands.run(run_arguments(), folder, limit_s)


def run_arguments() -> list[str]:
    """The words after `run_bench.py`."""
    return ["run", "suite.yaml", "--out", "out", "--workers", "2", *options()]


def board_of(folder: Path) -> dict[str, Any] | None:
    """The board of folder/out without what differs between runs; None where there is none."""
    file = folder / "out" / "board.json"
    if not file.is_file():
        return None
    board: dict[str, Any] = json.loads(file.read_text())
    for name in FIXED:
        board.pop(name, None)
    return board


def difference(board: dict[str, Any] | None, expected: dict[str, Any] | None) -> str:
    """The first part in which two boards differ, in words; "" of equal ones."""
    if board is None or expected is None:
        return "no board"
    for name in sorted({*board, *expected}):
        if board.get(name) != expected.get(name):
            return f"the board differs in {name}"
    return ""
