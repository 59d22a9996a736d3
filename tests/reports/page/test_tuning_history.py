"""A tuning study: drawn, and told in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bench.board import Board
from reports.page import tuning_history
from reports.page.page import render_page

Words = Callable[[str], str]


def test_a_study_is_drawn_and_told(
    compared_text: str, compared: Board, words: Words, study: dict[str, Any]
) -> None:
    seen = words(compared_text)
    assert "3 of 3 trials on 4 labels of one more draw, which enters no mean" in seen
    assert "Expected gain of the best of 2 equal trials that ended: 0.023." in seen
    assert "<rate> 0.750" in seen and "2 done 0.5432 0.5432 rate 0.1" in seen
    assert "1 failed n/a 0.4321 rate 0.5" in seen
    drawn = tuning_history.draw_history(study)
    assert drawn is not None and len(drawn.points) == 2
    assert drawn.points[1] == (
        tuning_history.LEFT + tuning_history.WIDTH,
        pytest.approx(drawn.band[0] + drawn.band[1] / 2, abs=0.1),
    )
    assert tuning_history.draw_history({**study, "trials": [study["trials"][1]]}) is None
    assert 'id="tuning"' not in render_page(replace(compared, tuning=[]), [], [])
