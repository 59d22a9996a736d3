"""The page while a suite runs: drawn once a cell has finished, then whenever that costs little."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.errors import printable
from bench.execution.progress import Progress

DRAWING_SHARE = 0.02  # of the time of a run, at most
AGAIN_AFTER_S = 60.0  # where it could not be drawn
FIRST_AFTER_S = 10.0  # a run that ends sooner needs no page before its end


class LivePage:
    """Passes each state of a run on, and draws the page where cells have finished since.

    `draw_page` draws it from what is finished and returns its file. It should not judge synthetic
    images: that takes long and is done at the end of the run.
    """

    def __init__(self, show: Callable[[Progress], None], draw_page: Callable[[], Path]) -> None:
        self.show = show
        self.draw_page = draw_page
        self.finished_cells = 0  # when it was drawn last
        self.is_drawn = False
        self.has_failed = False
        self.next_at = time.monotonic() + FIRST_AFTER_S

    def __call__(self, progress: Progress) -> None:
        """Take note of a state, and draw the page where that is due."""
        self.show(progress)
        finished = progress.done + progress.failed
        if finished == self.finished_cells or time.monotonic() < self.next_at:
            return
        if not progress.running:
            return  # the run is about to end, and the page is drawn then
        start = time.monotonic()
        try:
            page = self.draw_page()
        except Exception as problem:
            # Days of training must not end for a page; at the end of the run the error is raised.
            reason = printable(f"{type(problem).__name__}: {problem}")
            if not self.has_failed:
                print(f"cannot draw the page yet: {reason}; the run goes on", file=sys.stderr)
            self.has_failed = True
            # It may be that another launch was just writing what the page shows.
            self.next_at = time.monotonic() + AGAIN_AFTER_S
            return
        if not self.is_drawn:
            print(printable(f"page so far: {page}"), file=sys.stderr, flush=True)
        self.is_drawn = True
        self.finished_cells = finished
        self.next_at = time.monotonic() + (time.monotonic() - start) / DRAWING_SHARE
