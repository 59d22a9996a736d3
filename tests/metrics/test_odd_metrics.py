"""Metrics of plug-ins that give no number, declare nonsense or write to what they are lent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import registry
from bench.errors import BenchError
from bench.metrics.case_metric import CaseMetric, CasePair

DECLARED: dict[str, Any] = {
    "key": "mine",
    "title": "Mine",
    "better": "higher",
    "help": "Mine.",
    "pairs": "all",
    "digits": 3,
    "worst": 0.0,
    "compute": lambda pair: 0.5,
}


def pair() -> CasePair:
    return CasePair(np.ones((4, 4), bool), np.ones((4, 4), bool), None, 2.0)


@pytest.mark.parametrize(
    "value",
    [None, "0.5", [0.5], np.array([0.5, 0.5]), 1j, float("nan"), float("inf"), 10**400],
    ids=str,
)
def test_what_is_no_number(value: object) -> None:
    """All but NaN and infinity were a TypeError or OverflowError that named no metric."""
    metric = CaseMetric(**{**DECLARED, "compute": lambda pair: value})
    with pytest.raises(BenchError, match=r"metric mine gives .*; expected a finite number"):
        metric.value(pair(), missing=False)


def test_numbers_of_numpy_and_yes() -> None:
    for value in (np.float32(0.5), np.int64(1), np.bool_(True), True, 0):
        metric = CaseMetric(**{**DECLARED, "compute": lambda pair, value=value: value})
        assert metric.value(pair(), missing=False) == float(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("better", "up"),
        ("pairs", "refernce"),
        ("digits", "3"),
        ("digits", -1),
        ("title", 5),
        ("worst", None),
        ("worst", float("nan")),
        ("compute", 0.5),
        ("column", "group"),
    ],
)
def test_what_is_declared_wrongly(name: str, value: object) -> None:
    """`pairs: refernce` was taken for pairs without a reference, and the mean was of those."""
    with pytest.raises(BenchError, match=f"metric mine: {name} = .* given; expected"):
        CaseMetric(**{**DECLARED, name: value})


def test_a_metric_cannot_change_masks_for_those_after_it() -> None:
    def clear(pair: CasePair) -> float:
        pair.guess[:] = False
        return 1.0

    given = pair()
    metric = CaseMetric(**{**DECLARED, "compute": clear})
    with pytest.raises(BenchError, match=r"metric mine fails: ValueError: .*read-only"):
        metric.value(given, missing=False)
    assert given.guess.all()


@pytest.mark.parametrize("name", ["guess", "truth", "probability", "counted"])
def test_nothing_that_is_lent_can_be_written_to(name: str) -> None:
    mask = np.ones((4, 4), bool)
    lent = CasePair(mask, mask, (1.0, 1.0), 1.0, mask.astype(np.float32), mask)
    with pytest.raises(ValueError, match="read-only"):
        getattr(lent, name)[:] = 0
    assert mask.all()


def test_metrics_that_are_no_tuple(tmp_path: Path) -> None:
    """A single metric was a TypeError."""
    file = tmp_path / "single.py"
    file.write_text(
        "from bench.metrics.case_metric import CaseMetric\n"
        "METRICS = CaseMetric('a', 'A', 'higher', 'A.', 'all', 3, 0.0, lambda pair: 0.5)\n"
    )
    with pytest.raises(BenchError, match=r"METRICS = .* given; expected a tuple of CaseMetric"):
        registry.case_metrics([file])
