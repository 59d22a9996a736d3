"""Keys that would do nothing are refused when a suite is planned."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bench.errors import BenchError
from bench.planning.checks.idle_keys import check_idle_keys
from tests.support.tiny_bench import toy_suite


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"select": {"by": "test", "every": 9}}, "'select: {every: 9}' given; runs have 3 steps"),
        ({"select": {"by": "test", "every": 1, "start": 4}}, "'select: {start: 4}' given"),
        ({"subsets": {0.3: 1, 1.0: 1, 0.5: 2}}, "'subsets' names 0.5, which is no budget"),
    ],
)
def test_a_key_that_does_nothing(changes: dict[str, Any], words: str) -> None:
    """Each passed without a word: the last checkpoint counted as the best of one."""
    with pytest.raises(BenchError, match=re.escape(words)):
        check_idle_keys(toy_suite(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"select": {"by": "test", "every": 3, "start": 3}},
        {"select": {"by": "test", "every": 9}, "full_steps": 9},  # shortened by --steps
        {"subsets": {0.3: 1, 1.0: 1, 0.5: 2}, "reference_budgets": [0.5]},
    ],
)
def test_a_key_that_does_something(changes: dict[str, Any]) -> None:
    check_idle_keys(toy_suite(**changes))
