"""The progress of a run on the terminal: a bar, or plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from bench.errors import join_lines, printable
from bench.execution.progress import Progress
from bench.names import duration

# Between two lines of progress where there is no terminal: after a cell has ended, and otherwise.
PLAIN_AFTER_S = 5.0
PLAIN_EVERY_S = 15.0
BAR_WIDTH = 40
SHOWN_CURVES = 2  # of a running cell


@contextmanager
def progress_display() -> Iterator[Callable[[Progress], None]]:
    """A function that shows the progress of a run: a bar on a terminal, elsewhere plain lines."""
    if not sys.stderr.isatty():
        yield PlainProgress(time.monotonic)
        return
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:

        def show(progress: Progress) -> None:
            ended = progress.done + progress.failed
            bar = ProgressBar(max(1, progress.total), ended, width=BAR_WIDTH)
            live.update(Group(bar, Text(join_lines(_progress_lines(progress)))))

        yield show


class PlainProgress:
    """Prints the state of a run in one line, by a clock that gives seconds.

    After a cell has ended a line is due once the last one is PLAIN_AFTER_S old, otherwise once it
    is PLAIN_EVERY_S old.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.printed_at: float | None = None
        self.ended: tuple[int, int] | None = None

    def __call__(self, progress: Progress) -> None:
        """Print a line if one is due."""
        ended = (progress.done, progress.failed)
        now = self.clock()
        if self.printed_at is not None:
            pause = PLAIN_EVERY_S if ended == self.ended else PLAIN_AFTER_S
            if now - self.printed_at < pause:
                return
        self.ended = ended
        self.printed_at = now
        lines = map(printable, _progress_lines(progress))
        print(*lines, sep="; ", file=sys.stderr, flush=True)


def _progress_lines(progress: Progress) -> list[str]:
    """The counts, then a line for each running cell."""
    lines = [summary(progress)]
    for cell in progress.running.values():
        values = latest_text(cell.latest)
        lines.append(f"  {cell.label}: step {cell.step} of {cell.steps}{values}")
    return lines


def latest_text(latest: Mapping[str, float]) -> str:
    """The latest values of the first curves that a method logs, the loss before others."""
    names = sorted(latest, key=lambda name: name != "loss")
    return "".join(f", {name} {latest[name]:.3g}" for name in names[:SHOWN_CURVES])


def summary(progress: Progress) -> str:
    """The stage, cells done, running and failed, and the time left of this stage and all others."""
    counts = f"{progress.stage}: {progress.done} of {progress.total} runs done"
    if progress.kept:
        counts += f" ({progress.kept} from before)"
    counts += f", {len(progress.running)} running, {progress.failed} failed"
    if progress.interrupted:
        counts += f", {len(progress.interrupted)} interrupted"
    seconds_left = progress.seconds_left()
    if seconds_left:
        counts += f", about {duration(seconds_left)} left"
    return counts
