"""What fingerprints are compared by."""

import math

import pytest

from bench.published.first_losses import are_equal, probe
from tests.support.boards import planned_cell


def test_losses_agree_within_a_thousandth_of_the_largest() -> None:
    assert are_equal([2.0, 0.001], [2.0, 0.0029])
    assert not are_equal([2.0, 0.001], [2.0, 0.0031])


@pytest.mark.parametrize("other", [[], [1.0], [1.0, math.nan]])
def test_shorter_curves_and_those_without_a_number_differ(other: list[float]) -> None:
    assert not are_equal([1.0, 1.0], other)


def test_a_method_without_gradients_has_nothing_to_compare() -> None:
    assert not are_equal([], [])


def test_a_probe_has_a_hundredth_of_each_learning_rate_and_nothing_else_changed() -> None:
    settings = {"learning_rate": 0.01, "weight": 3.0, "generator": {"gan_learning_rate": 0.5}}
    cell = planned_cell(config=settings, precision="bfloat16", threads=2)
    slowed = probe(cell)
    assert slowed.config == {
        "learning_rate": 0.0001,
        "weight": 3.0,
        "generator": {"gan_learning_rate": 0.005},
    }
    assert (slowed.precision, slowed.threads) == ("float32", 1)
    assert slowed.seed == cell.seed and slowed.steps == cell.steps
