"""A suite that tunes the plug-in `shifted`, planned and tuned in a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from bench import stages
from bench.planning.suite import Suite
from bench.stages import Bench, RunOptions
from bench.store import Store
from bench.tuning.study_folder import Trial
from tests.support.tiny_bench import PLUGIN_FOLDER

PLUGINS = [PLUGIN_FOLDER / "shifted.py", PLUGIN_FOLDER / "tiny.py"]
TUNED: dict[str, Any] = {
    "name": "tuned",
    "title": "Tuned",
    "datasets": ["tiny"],
    "fractions": [0.4, 1.0],
    "subsets": 2,
    "methods": ["shifted"],
    "reference": "shifted",
    "size": [16, 16],
    "steps": 1,
    "tuning": {"trials": 4, "per": "subset", "folds": 2},
}


def tuned_suite(**changes: Any) -> Suite:
    """Two budgets with two subsets each, four trials for each of them; keys may be changed."""
    return Suite(**{**TUNED, **changes})


def plan_tuned(out: Path, options: RunOptions | None = None, **changes: Any) -> Bench:
    """The suite planned into a folder."""
    if options is None:
        options = RunOptions(plugins=PLUGINS, device="cpu")
    return stages.plan_bench(tuned_suite(**changes), None, Store(out), options)


def tune(bench: Bench) -> tuple[Bench, str]:
    """The studies of a planned suite, run to their end."""
    return stages.tune(bench, lambda progress: None)


def run(bench: Bench) -> None:
    """The cells of a planned suite, run and scored."""
    stages.run(bench, lambda progress: None)


def make_trial(number: int, value: float | None, *after: float, **groups: float) -> Trial:
    """A trial as its file has it: failed where it has no value."""
    settings = {"x": number}
    state: Literal["done", "failed"] = "failed" if value is None else "done"
    return Trial(number, settings, settings, state, value, groups, after, (), 1.0)
