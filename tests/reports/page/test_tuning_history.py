"""A tuning study: drawn, and told in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.board.schema import Board, StudyHistory
from reports.page import tuning_history
from reports.page.page import render_page

Words = Callable[[str], str]


def test_a_study_is_drawn_and_told(
    compared_text: str, compared: Board, words: Words, study: StudyHistory
) -> None:
    seen = words(compared_text)
    trials = "3 of 3 trials on 4 labels from a separate draw that is excluded from the results"
    assert trials in seen
    gain = "the best of 2 completed trials if all settings were equally good: 0.023."
    assert f"Expected gain of {gain}" in seen
    assert "<rate> 0.750" in seen and "2 done 0.5432 0.5432 rate 0.1" in seen
    assert "1 failed n/a 0.4321 rate 0.5" in seen
    drawn = tuning_history.draw_history(study)
    assert drawn is not None and len(drawn.points) == 2
    assert drawn.points[1] == (
        tuning_history.LEFT + tuning_history.WIDTH,
        pytest.approx(drawn.band[0] + drawn.band[1] / 2, abs=0.1),
    )
    assert tuning_history.draw_history(replace(study, trials=[study.trials[1]])) is None
    assert 'id="tuning"' not in render_page(replace(compared, tuning=[]), [], [])
