"""Search spaces: what a suite may change in them, and the spaces of all methods here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import registry
from bench.errors import BenchError
from bench.tuning.space import check_space, setting_ranges
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
