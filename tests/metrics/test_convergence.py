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
        ((100, 50, 20, 10, 7.4), True),  # 2.6 after 50
        ((100, 50, 20, 10, 7.6), False),  # 2.4 after 50
        ((100, 80, 60, 40, 20), True),
        ((100, 20, 20, 20, 20), False),
        ((100, 20, 20, 20, 30), False),
        ((20, 25, 25, 24, 23), True),  # nothing at first, so that any fall counts
        ((20, 25, 25, 25, 25), False),
    ],
)
def test_the_last_quarter_is_compared_with_the_first(
    distances: tuple[float, ...], falls: bool
) -> None:
    assert still_falls(QUARTERS, distances) == falls
    points: list[CurvePoint] = []
    for shown, distance in zip(QUARTERS, distances, strict=True):
        points.append(CurvePoint(shown, distance, 64))
    assert GeneratorCurve(None, points).still_falls == falls


def test_the_distance_changes_evenly_between_points() -> None:
    """Points at 0, 1, 2, 10 and 16 thousand images; the quarters end at 4, 8, 12 and 16."""
    shown = (0, 1000, 2000, 10_000, 16_000)
    distances = (90.0, 60.0, 30.0, 22.0, 16.0)  # 28 at 4,000 and 20 at 12,000: 62, then 4
    assert still_falls(shown, distances)
    assert not still_falls(shown, (90.0, 60.0, 30.0, 22.0, 18.0))  # 19.33 - 18 after 62


def test_few_points_say_nothing() -> None:
    assert not still_falls((0, 1, 2, 3), (9.0, 6.0, 3.0, 0.0))


@given(
    st.lists(st.floats(0, 1000), min_size=5, max_size=12),
    st.integers(1, 1000),
)
def test_the_unit_and_the_length_do_not_matter(distances: list[float], length: int) -> None:
    shown = range(len(distances))
    doubled = [2 * length * number for number in shown]
    scaled = [4 * distance for distance in distances]  # exact in floating point
    assert still_falls(doubled, scaled) == still_falls(shown, distances)
