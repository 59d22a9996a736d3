"""Numbers as text."""

from __future__ import annotations

import pytest

from reports.wording import interval_text


@pytest.mark.parametrize(
    ("lo", "hi", "text"),
    [
        (0.0041, 0.25, "[+0.004, +0.25]"),
        (-0.0004, 0.31, "[−0.0004, +0.31]"),
        (-0.2, -0.003, "[−0.20, −0.003]"),
        (0.0, 0.25, "[0.00, +0.25]"),
        (-0.004, 0.006, "[−0.004, +0.01]"),
        (0.00001, 0.25, "[0.00, +0.25]"),
    ],
)
def test_a_bound_near_zero_shows_on_which_side_it_lies(lo: float, hi: float, text: str) -> None:
    assert interval_text(lo, hi, 2) == text


def test_an_interval_without_a_bound_is_no_text() -> None:
    assert interval_text(None, 0.2, 2) == ""
