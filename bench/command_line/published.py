"""The command of published boards: cells are trained again to see whether they agree."""

from __future__ import annotations

from pathlib import Path

from bench.command_line.exits import exit_with
from bench.command_line.options import (
    Data,
    Device,
    Keys,
    Out,
    Plugins,
    ReproducedTo,
    Workers,
    run_options,
)
from bench.command_line.terminal import say
from bench.errors import printable


def reproduce(
    out: Out,
    keys: Keys,
    data: Data = None,
    to: ReproducedTo = None,
    workers: Workers = None,
    device: Device = "auto",
    plugin: Plugins = None,
) -> None:
    """Train runs of a published board again and note whether they agree; exit code 1 if not."""
    from bench import reproduce as reproducing
    from bench.command_line.progress_display import progress_display
    from bench.store import Store

    options = run_options([], workers, device, plugin, False, 2)
    again = Store(to or Path("runs") / "reproduced" / out.resolve().name)
    with progress_display() as show:
        outcomes = reproducing.reproduce(Store(out), keys, data, again, options, show)
    for outcome in outcomes:
        say(printable(outcome.text))
    exit_with(1, not all(outcome.agrees for outcome in outcomes))
