"""Whether a generator's training was long enough, in closed form (R5.11)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cell_records import CurvePoint, GeneratorCurve
from bench.metrics.convergence import still_falls

QUARTERS = (0, 100, 200, 300, 400)


@pytest.mark.parametrize(
    ("distances", "falls"),
    [
        ((100, 50, 20, 10, 5.2), True),  # 4.8 of 94.8, which is 5.06%
        ((100, 50, 20, 10, 5.3), False),  # 4.7 of 94.7, which is 4.96%
        ((100, 80, 60, 40, 20), True),
        ((100, 20, 20, 20, 20), False),
        ((100, 20, 20, 20, 30), False),
        ((14, 18, 24, 6, 5.2), False),  # 0.8 of 18.8, after a rise from an even grey
        ((14, 18, 24, 6, 5), True),  # 1 of 19
        ((20, 21, 22, 23, 24), False),
        ((20, 20, 20, 20, 20), False),
    ],
)
def test_the_last_quarter_is_compared_with_the_whole_fall(
    distances: tuple[float, ...], falls: bool
) -> None:
    assert still_falls(QUARTERS, distances) == falls
    points: list[CurvePoint] = []
    for shown, distance in zip(QUARTERS, distances, strict=True):
        points.append(CurvePoint(shown, distance, 64))
    assert GeneratorCurve(None, points).still_falls == falls


def test_the_distance_changes_evenly_between_points() -> None:
    """Points at 0, 1, 2, 10 and 14 thousand images; the last quarter begins at 10,500."""
    shown = (0, 1000, 2000, 10_000, 14_000)
    assert still_falls(shown, (108.0, 60.0, 30.0, 16.0, 8.0))  # 15 - 8 of 100
    assert not still_falls(shown, (108.0, 60.0, 30.0, 13.0, 8.0))  # 12.375 - 8 of 100


def test_few_points_say_nothing() -> None:
    assert not still_falls((0, 1, 2, 3), (9.0, 6.0, 3.0, 0.0))


@given(st.lists(st.floats(0, 1000), min_size=5, max_size=12), st.integers(0, 10))
def test_the_unit_and_the_length_do_not_matter(distances: list[float], doublings: int) -> None:
    """Both are changed by powers of two, which rounding does not see."""
    factor = 2**doublings
    shown = range(len(distances))
    longer = [factor * number for number in shown]
    scaled = [4 * distance for distance in distances]
    assert still_falls(longer, scaled) == still_falls(shown, distances)
