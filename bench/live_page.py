"""The page while a suite runs: drawn from the first finished cell on, whenever that costs little."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

from bench import stages
from bench.execution.driver import Progress
from bench.store import Store

SHARE = 0.05  # of the time of a run, at most, goes into drawing
FIRST_AFTER_S = 10.0  # a run that ends sooner has no use for a page on the way


class LivePage:
    """Hands each state of a run on, and draws the page when cells have finished since it was drawn last."""

    def __init__(self, store: Store, show: Callable[[Progress], None]) -> None:
        self.store, self.show = store, show
        self.drawn: int | None = (
            None  # finished cells that the page knows of; None before the first one
        )
        self.due = time.monotonic() + FIRST_AFTER_S

    def __call__(self, progress: Progress) -> None:
        """Take note of a state; synthetic images are judged at the end of the run, not here."""
        self.show(progress)
        finished = progress.done + progress.failed
        if finished == (self.drawn or 0) or not progress.steps or time.monotonic() < self.due:
            return  # with nothing under way the page is drawn at the end, which is near
        start = time.monotonic()
        try:
            _, page = stages.report(self.store, judged=False)
        except (
            Exception
        ) as problem:  # days of training must not end for a picture; the end of the run raises it
            print(
                f"no page on the way: {type(problem).__name__}: {problem}; the run goes on",
                file=sys.stderr,
            )
            self.due = math.inf
            return
        if self.drawn is None:
            print(f"page so far: {page}", file=sys.stderr, flush=True)
        self.drawn = finished
        self.due = time.monotonic() + (time.monotonic() - start) / SHARE
