"""Search spaces: what a suite may change in them, and the spaces of all methods here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench import registry
from bench.errors import BenchError
from bench.planning.plan_file import StudyFacts, read_plan
from bench.stages import Bench, RunOptions
from bench.testing import MethodContract
from bench.tuning.space import check_space, drawn_settings, others_kept, setting_ranges
from bench.tuning.study_folder import study_folder
from tests.support.tiny_bench import PLUGIN_FOLDER, mismatches, report
from tests.support.tuned_bench import PLUGINS, plan_tuned, tune


def studies_of(bench: Bench) -> Sequence[StudyFacts]:
    """All studies of a planned suite."""
    return read_plan(bench.store.out).studies


def write_plain(folder: Path) -> Path:
    """The plug-in `shifted` under another name, whose setting is called `level`."""
    source = (PLUGIN_FOLDER / "shifted.py").read_text()
    source = source.replace("shift:", "level:").replace("config.shift", "config.level")
    source = source.replace(
        'shift=trial.suggest_float("shift"', 'level=trial.suggest_float("level"'
    )
    source = source.replace('kind=trial.suggest_categorical("kind", ["plain", "same"]),', "")
    file = folder / "plain.py"
    file.write_text(source)
    return file


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"shifted": {"shfit": [0, 1]}}, "unknown setting 'shfit'; did you mean 'shift'"),
        ({"shifted": {"shift": [0.3]}}, r"\[0.3\] given; expected \[low, high\]"),
        ({"shifted": {"shift": [0, float("inf")]}}, r"expected \[low, high\]"),
        (
            {"shifted": {"shift": [-2, 1]}},
            "tuning: space: config of method shifted: shift: -2 given; .* greater",
        ),
        ({"shifted": {"shift": [0, 1.5]}}, r"shift: 1\.5 given; .* less"),
        ({"shifted": {"kind": ["plain", "plan"]}}, "kind: 'plan' given; .* 'plain'"),
        ({"shifted": {"kind": []}}, r"shifted: kind: \[\] given; expected one choice or more"),
        (
            {"nobody": {"shift": [0, 1]}},
            "nobody given; this suite does not tune a method of that name",
        ),
    ],
)
def test_bad_spaces_are_refused_before_any_training(
    changes: Any, expected: str, tmp_path: Path
) -> None:
    """Found in a review: an empty list of choices ended in a traceback.

    Values that the Config forbids were found in the trials only, which all failed.
    """
    with pytest.raises(BenchError, match=expected):
        plan_tuned(tmp_path / "out", tuning={"trials": 2, "space": changes})


def test_only_the_settings_that_are_named_have_ranges() -> None:
    info = registry.method("mean_teacher")
    config = info.config({})
    ranges = setting_ranges(info, config, {})
    changes = others_kept(info, config, {"learning_rate": [0.01, 0.02]}, ["learning_rate"])
    assert {name for name, change in changes.items() if not change} == set(ranges) - {
        "learning_rate"
    }
    kept = setting_ranges(info, config, changes)
    assert [(name, range_.low) for name, range_ in kept.items()] == [("learning_rate", 0.01)]  # type: ignore[attr-defined]
    assert others_kept(info, config, {}, []) == {}


def test_a_study_of_all_settings_is_another_than_one_of_some(tmp_path: Path) -> None:
    ids = []
    for number, only in enumerate(([], ["shift"], ["shift", "kind"])):
        bench = plan_tuned(tmp_path / str(number), tuning={"trials": 4, "only": only})
        ids.append([study.id for study in studies_of(bench)])
    assert ids[0] != ids[1]
    assert ids[0] == ids[2]


def test_what_is_not_searched_keeps_its_default(tmp_path: Path) -> None:
    """A method without the setting has one training for all its trials, and a tuned row too."""
    options = RunOptions(plugins=[*PLUGINS, write_plain(tmp_path)], device="cpu")
    changes = {"methods": ["shifted", "plain"], "fractions": [1.0], "subsets": 1}
    tuning = {"trials": 2, "folds": 2, "only": ["shift"]}
    bench = plan_tuned(tmp_path / "out", options, tuning=tuning, **changes)
    tuned, _ = tune(bench)
    shifted, plain = (study_folder(bench.store, study.id) for study in studies_of(bench))
    assert [list(trial.params) for trial in shifted.read_trials()] == [["shift"], ["shift"]]
    assert {trial.config["kind"] for trial in shifted.read_trials()} == {"plain"}
    assert [trial.params for trial in plain.read_trials()] == [{}, {}]
    assert len({tuple(trial.cells) for trial in plain.read_trials()}) == 1
    assert ("plain", "tuned") in {(cell.method, cell.variant) for cell in tuned.cells}
    report(bench.store, "csv")
    assert mismatches(bench.store) == []


@pytest.mark.parametrize(
    ("tuning", "words"),
    [
        ({"only": ["shfit"]}, "tuning: only: unknown setting 'shfit'; did you mean 'shift'"),
        (
            {"only": ["kind"], "space": {"shifted": {"shift": [0, 0.1]}}},
            "'space' changes shift of shifted, which 'only' leaves out",
        ),
    ],
)
def test_settings_that_cannot_be_searched_alone_are_refused(
    tuning: Any, words: str, tmp_path: Path
) -> None:
    with pytest.raises((BenchError, ValidationError), match=words):
        plan_tuned(tmp_path / "out", tuning={"trials": 2, **tuning})


def test_every_method_here_has_a_space_of_its_settings() -> None:
    shared_ranges = []
    for name, info in registry.methods().items():
        config = info.config({})
        check_space(info, config, {})
        ranges = setting_ranges(info, config, {})
        shared = {setting: ranges.pop(setting) for setting in ("learning_rate", "weight_decay")}
        shared_ranges.append(shared)
        assert len(ranges) <= 4, name
    assert all(shared == shared_ranges[0] for shared in shared_ranges), (
        "settings that all methods have are tuned in the same ranges"
    )


def test_settings_drawn_from_a_space_are_valid_and_reach_both_ends() -> None:
    info = registry.method("shifted", [PLUGIN_FOLDER / "shifted.py"])
    config = info.config({})
    drawn = list(drawn_settings(info, config, 20))
    assert [settings["shift"] for settings in drawn[:2]] == [-0.4, 0.4]
    assert {settings["kind"] for settings in drawn} == {"plain", "same"}
    assert len({settings["shift"] for settings in drawn}) == 22
    assert all(info.config({**config, **settings}) for settings in drawn)


BAD_SPACE = """
class TooFar:
    def fit(self, view, run): pass
METHOD = TooFar
CARD = {"summary": "Its space is wider than its Config allows."}
from pydantic import BaseModel, ConfigDict, Field
class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    rate: float = Field(default=0.1, le=1)
def space(trial):
    trial.suggest_float(NAME, 0.1, HIGH)
"""


@pytest.mark.parametrize(
    ("name", "high", "expected"),
    [
        ("rate", 1.0, None),
        ("rate", 2.0, r"rate: .* given; .* less"),
        ("raet", 1.0, "suggests 'raet'; expected a setting of its Config"),
    ],
)
def test_the_contract_tries_the_space_of_a_method(
    name: str, high: float, expected: str | None, tmp_path: Path
) -> None:
    """A wrong space was found in the trials of a study alone, which all failed."""
    file = tmp_path / "too_far.py"
    file.write_text(BAD_SPACE.replace("NAME", repr(name)).replace("HIGH", str(high)))

    class Contract(MethodContract):
        plugin = file

    if expected is None:
        Contract().test_its_search_space_gives_settings_of_its_config()
        return
    with pytest.raises(BenchError, match=expected):
        Contract().test_its_search_space_gives_settings_of_its_config()
