"""docs/examples/lesion_metrics.py: lesions found and the Dice of each, in closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import registry
from bench.metrics.case_metric import CasePair
from bench.metrics.overlap import dice

FILE = Path(__file__).parents[2] / "docs" / "examples" / "lesion_metrics.py"
METRICS = {metric.key: metric for metric in registry.case_metrics([FILE])}


def pair(guess: list[str], truth: list[str]) -> CasePair:
    """Masks as drawings: # is inside."""
    masks = [np.array([[sign == "#" for sign in row] for row in rows]) for rows in (guess, truth)]
    return CasePair(masks[0], masks[1], None, 1.0)


def value(key: str, both: CasePair) -> float:
    return METRICS[key].value(both, missing=False)


def test_one_of_two_lesions_is_found_and_one_is_false() -> None:
    both = pair(
        ["##.....#", "##......", "........"],
        ["##......", "##......", "....##.."],
    )
    assert value("lesion_f1", both) == pytest.approx(2 * 1 / (2 + 2))
    assert value("lesion_dice", both) == pytest.approx((1 + 0) / 2)


def test_one_prediction_over_two_lesions_finds_one() -> None:
    both = pair(["#####"], ["##.##"])
    assert value("lesion_f1", both) == pytest.approx(2 * 1 / (1 + 2))
    assert value("lesion_dice", both) == pytest.approx(2 * 2 / (5 + 2))


def test_an_overlap_below_a_tenth_finds_nothing() -> None:
    both = pair(["." + "#" * 11], ["##" + "." * 10])
    assert value("lesion_f1", both) == 0
    assert value("lesion_dice", both) == pytest.approx(2 / 13)


def test_pixels_that_touch_at_a_corner_are_one_lesion() -> None:
    both = pair(["#.", ".#"], ["#.", ".#"])
    assert value("lesion_f1", both) == 1
    assert value("lesion_dice", both) == 1


def test_large_lesions_do_not_hide_small_ones() -> None:
    truth = np.zeros((40, 40), bool)
    truth[:30] = True
    guess = truth.copy()
    truth[35, ::8] = True
    both = CasePair(guess, truth, None, 1.0)
    assert dice(guess, truth) > 0.99
    assert value("lesion_f1", both) == pytest.approx(2 / (2 + 5))
    assert value("lesion_dice", both) == pytest.approx(1 / 6)


def masks() -> Any:
    return st.lists(st.booleans(), min_size=36, max_size=36)


@given(masks(), masks())
def test_both_are_shares_and_lesions_count_alike_in_both_directions(
    guess: list[bool], truth: list[bool]
) -> None:
    both = CasePair(np.reshape(guess, (6, 6)), np.reshape(truth, (6, 6)), None, 1.0)
    other = CasePair(both.truth, both.guess, None, 1.0)
    assert 0 <= value("lesion_dice", both) <= 1
    assert 0 <= value("lesion_f1", both) <= 1
    if both.truth.any():
        same = CasePair(both.truth, both.truth, None, 1.0)
        assert value("lesion_f1", same) == value("lesion_dice", same) == 1
    assert value("lesion_f1", both) == value("lesion_f1", other)
