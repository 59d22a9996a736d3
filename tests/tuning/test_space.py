"""Search spaces: what a suite may change in them, and the spaces of all methods here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import registry
from bench.errors import BenchError
from bench.testing import MethodContract
from bench.tuning.space import check_space, drawn_settings, setting_ranges
from tests.support.tiny_bench import PLUGIN_FOLDER
from tests.support.tuned_bench import plan_tuned


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
