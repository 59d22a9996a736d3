"""What `status` says on the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

from bench.command_line.progress_display import latest_text
from bench.command_line.terminal import say
from bench.errors import join_lines
from bench.files.leases import Holder
from bench.names import cell_label, duration
from bench.status import Status, read_status
from bench.store import Store

WATCH_EVERY_S = 5.0
CLEAR = "\x1b[H\x1b[2J"  # of a terminal
TIME_WORDS = {"train": "training", "import": "imports", "part_wait": "shared parts"}


def status_text(store: Store) -> str:
    """Counts, running cells with their step, failures with their reason, and unused results."""
    return _text_of_status(read_status(store))


def _text_of_status(status: Status) -> str:
    counts = (
        f"{status.done} done, {status.running} running, "
        f"{status.failed} failed, {status.missing} missing"
    )
    lines = [f"{status.total} runs: {counts}"]
    if status.seconds_left and status.running:
        left = duration(status.seconds_left)
        lines.append(f"{status.per_hour:.0f} runs an hour lately, about {left} left")
    lines += _running_lines(status)
    lines += _failure_lines(status)
    if status.seconds["cell"]:
        lines.append(_time_shares(status.seconds))
    if status.aside:
        lines.append(
            f"{status.aside} results of other settings or older code are kept aside, "
            "not on the leaderboard"
        )
    return join_lines(lines)


def watch(store: Store, wait: Callable[[float], None] = time.sleep) -> None:
    """Show the status again and again until no cell runs or is missing, or Ctrl-C is pressed."""
    before = ""
    while True:
        status = read_status(store)
        text = _text_of_status(status)
        if text != before and sys.stdout.isatty():
            print(CLEAR, end="")
        if text != before:
            say(text)
        before = text
        if not status.running and not status.missing:
            return
        wait(WATCH_EVERY_S)


def _running_lines(status: Status) -> list[str]:
    lines = []
    for key, progress in status.progress.items():
        step = "starting"
        if progress is not None:
            step = f"step {progress.step} of {progress.steps}{latest_text(progress.latest)}"
        place = _place(status.holders.get(key))
        lines.append(f"running  {cell_label(status.cells[key])}: {step}{place} ({key})")
    return lines


def _place(holder: Holder | None) -> str:
    """Where a cell runs, and since when nothing was heard of it."""
    if holder is None:
        return ""
    place = f" on {holder.lease.host}, process {holder.lease.process}"
    if holder.lease.job:
        place += f", job {holder.lease.job}"
    if holder.silent_s is not None:
        place += f", heard of {duration(max(0.0, holder.silent_s))} ago"
    return place


def _failure_lines(status: Status) -> list[str]:
    lines = []
    for key, failure in status.failures.items():
        if failure is not None:
            lines.append(f"failed   {cell_label(status.cells[key])}: {failure.reason} ({key})")
    return lines


def _time_shares(seconds: Mapping[str, float]) -> str:
    """What share of the time in finished cells went into what."""
    total = seconds["cell"]
    rest = total
    shares = []
    for kind, words in TIME_WORDS.items():
        rest -= seconds[kind]
        if seconds[kind] or kind != "part_wait":
            shares.append(f"{seconds[kind] / total:.1%} {words}")
    shares.append(f"{rest / total:.1%} everything else (predicting, writing)")
    return f"{total:.0f} s in runs: {', '.join(shares)}"
