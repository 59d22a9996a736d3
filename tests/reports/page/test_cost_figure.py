"""The headline against its cost."""

from __future__ import annotations

from dataclasses import replace

from bench.board.schema import Board
from reports.page import cost_figure
from reports.page.tables import Problem


def test_cost_adds_up_all_seconds(compared: Board, compared_text: str) -> None:
    assert "ss_net, 4 labelled: 35 s, 0.712; supervised, 4 labelled: 35 s, 0.651" in compared_text
    assert cost_figure._seconds_ticks([0.7, 35.0]) == [0.5, 1, 2, 5, 10, 20, 50]
    assert (
        cost_figure.draw_cost_figure(
            replace(compared, cost=[]), Problem("segmentation", "phantoms"), "c"
        )
        == ""
    )
