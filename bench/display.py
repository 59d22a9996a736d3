"""Live progress on a terminal; a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.execution.driver import Progress

PLAIN_EVERY_S = 15.0


@contextmanager
def progress_display() -> Iterator[Callable[[Progress], None]]:
    """Something to hand each state of a run to."""
    if not sys.stderr.isatty():
        yield _plain()
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        yield lambda progress: live.update("\n".join([summary(progress), *steps(progress)]))


def _plain() -> Callable[[Progress], None]:
    told: dict[str, float | str] = {"at": 0.0, "text": ""}

    def show(progress: Progress) -> None:
        text = f"{progress.done}/{progress.failed}"
        if text != told["text"] or time.monotonic() - float(told["at"]) > PLAIN_EVERY_S:
            told.update(at=time.monotonic(), text=text)
            print(summary(progress), *steps(progress), sep="; ", file=sys.stderr, flush=True)

    return show


def summary(progress: Progress) -> str:
    """Cells done, running, failed, and the time left."""
    left = progress.seconds_left()
    kept = f" ({progress.kept} from before)" if progress.kept else ""
    eta = f", about {duration(left)} left" if left else ""
    counts = f"{progress.done} of {progress.total} cells done{kept}, {len(progress.steps)} running"
    return f"{counts}, {progress.failed} failed{eta}"


def steps(progress: Progress) -> list[str]:
    """One line for each running cell."""
    return [f"  {label}: step {step} of {of}" for label, step, of in progress.steps.values()]


def duration(seconds: float) -> str:
    """Seconds in words: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
