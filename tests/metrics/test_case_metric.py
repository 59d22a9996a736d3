"""Per-case metrics: what they declare, which pairs they are defined on, and their worst values."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from bench.errors import BenchError
from bench.metrics import borders, surface
from bench.metrics.built_in import case_metrics
from bench.metrics.case_metric import CaseMetric, CasePair
from bench.metrics.surface import surface_metrics

EMPTY = np.zeros((6, 6), bool)
SQUARE = EMPTY.copy()
SQUARE[1:4, 1:4] = True
SHIFTED = np.roll(SQUARE, 1, axis=1)
VOLUME = CaseMetric(
    key="volume_error",
    title="Volume error",
    better="lower",
    help="Difference of the volumes as a share of the true one.",
    pairs="reference",
    digits=2,
    worst=1.0,
    compute=lambda pair: float(abs(pair.guess.sum() - pair.truth.sum()) / pair.truth.sum()),
)


def test_metrics_keep_the_order_of_the_leaderboard() -> None:
    keys = [metric.key for metric in case_metrics([VOLUME])]
    builtin = ["dice", "fp_rate", "dice_all", "jaccard", "nsd", "hd95", "asd"]
    assert keys == [*builtin, "volume_error"]


def test_values_are_those_of_surface_metrics() -> None:
    pair = CasePair(SQUARE, SHIFTED, (2.0, 0.5), 0.5)
    values = {metric.key: metric.value(pair, missing=False) for metric in case_metrics()}
    expected = surface_metrics(SQUARE, SHIFTED, (2.0, 0.5), 0.5)._asdict()
    assert {name: values[name] for name in expected} == expected
    assert values["dice"] == values["dice_all"] == 12 / 18
    assert values["jaccard"] == 6 / 12


def test_borders_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    compute = borders.surface_distances

    def count(*arguments: object) -> object:
        calls.append(arguments)
        return compute(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(borders, "surface_distances", count)
    pair = CasePair(SQUARE, SHIFTED, None, 1.0)
    for metric in case_metrics():
        metric.value(pair, missing=False)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("pairs", "with_reference", "without"),
    [("reference", True, False), ("no reference", False, True), ("all", True, True)],
)
def test_pairs_say_where_it_is_defined(pairs: str, with_reference: bool, without: bool) -> None:
    metric = replace(VOLUME, pairs=pairs)  # type: ignore[arg-type]
    assert metric.is_defined(has_reference=True) is with_reference
    assert metric.is_defined(has_reference=False) is without


def test_a_missing_prediction_takes_the_worst_value() -> None:
    pair = CasePair(EMPTY, SQUARE, (2.0, 0.5), 1.0)
    values = {metric.key: metric.value(pair, missing=True) for metric in case_metrics()}
    diagonal = surface.image_diagonal((6, 6), (2.0, 0.5))
    assert values == {
        "dice": 0,
        "fp_rate": 1,
        "dice_all": 0,
        "jaccard": 0,
        "nsd": 0,
        "hd95": diagonal,
        "asd": diagonal,
    }


def test_two_metrics_of_one_key_are_refused() -> None:
    with pytest.raises(BenchError, match="metric 'dice' given twice; rename one"):
        case_metrics([replace(VOLUME, key="dice")])


@pytest.mark.parametrize("key", ["case", "predicted", "", "Dice", "a b", "2d"])
def test_keys_that_no_column_may_have_are_refused(key: str) -> None:
    with pytest.raises(BenchError, match=f"metric {key!r} given; expected a lower-case name"):
        replace(VOLUME, key=key)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_names_its_metric(value: float) -> None:
    metric = replace(VOLUME, compute=lambda pair: value)
    with pytest.raises(BenchError, match=f"metric volume_error gives {value}"):
        metric.value(CasePair(EMPTY, SQUARE, None, 1.0), missing=False)


def test_import_is_light() -> None:
    code = "import sys, bench.metrics.built_in; print(*({'torch', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
