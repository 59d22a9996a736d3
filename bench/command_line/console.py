"""What the terminal shows: the board as a table, progress of a run, status, and lists."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import registry
from bench.board.columns import COLUMNS
from bench.board.schema import HEADLINE, TASKS, Board, Row
from bench.command_line.terminal import say
from bench.errors import join_lines, printable
from bench.execution.progress import Progress
from bench.files.leases import Holder
from bench.names import cell_label, duration, method_label
from bench.planning import suite_file
from bench.planning.dataset_facts import warnings
from bench.planning.labelled_images import labelled_image_warnings
from bench.stages import Bench
from bench.status import Status, read_status
from bench.store import Store

# Between two lines of progress where there is no terminal: after a cell has ended, and otherwise.
PLAIN_AFTER_S = 5.0
PLAIN_EVERY_S = 15.0
BAR_WIDTH = 40
SHOWN_CURVES = 2  # of a running cell
WATCH_EVERY_S = 5.0
CLEAR = "\x1b[H\x1b[2J"  # of a terminal
TIME_WORDS = {"train": "training", "import": "imports", "part_wait": "shared parts"}


# --- the board


def board_table(board: Board) -> str:
    """The headline metric of every row, with interval and rank range: a table for each task."""
    tasks = [task for task in TASKS if task in board.suite.tasks]
    return "\n\n".join(_task_table(board, task) for task in tasks)


def _task_table(board: Board, task: str) -> str:
    headline = HEADLINE[task]
    rows = [row for row in board.rows if row.task == task and row.metric == headline]
    lines = [["dataset", "labelled", "method", headline, "95% CI", "rank", ""]]
    for row in sorted(rows, key=_reading_order):
        labelled = f"{row.labelled} ({row.fraction:.0%})"
        method = method_label(row.method, row.variant)
        numbers = [_mean_text(row), _interval_text(row), _rank_text(row)]
        lines.append([row.dataset, labelled, method, *numbers, _remark(row)])
    return aligned(lines)


def _reading_order(row: Row) -> tuple[str, float, float]:
    """By data set and budget, the best row first."""
    mean = -1.0 if row.mean is None else row.mean
    return row.dataset, row.fraction, -mean


def _mean_text(row: Row) -> str:
    return "-" if row.mean is None else f"{row.mean:.3f}"


def _interval_text(row: Row) -> str:
    """The interval, clipped to what the metric can be."""
    if row.lo is None or row.hi is None:
        return "-"
    return f"[{max(0, row.lo):.3f}, {min(1, row.hi):.3f}]"


def _rank_text(row: Row) -> str:
    if row.rank_lo is None:
        return "-"
    if row.rank_lo == row.rank_hi:
        return f"{row.rank_lo}"
    return f"{row.rank_lo}-{row.rank_hi}"


def _remark(row: Row) -> str:
    """The kind of the interval, or why there is no number."""
    return row.interval if row.status == "ok" else f"{row.status}: {row.reason}"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of text cells as a table, its columns padded to one width."""
    shown = [list(map(printable, line)) for line in lines]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    padded_lines = []
    for line in shown:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        padded_lines.append("  ".join(padded).rstrip())
    return "\n".join(padded_lines)


# --- a run


def print_notes(notes: Iterable[str]) -> None:
    """Notes beside what a command prints."""
    for note in notes:
        say(printable(f"note: {note}"), err=True)


def planning_notes(bench: Bench) -> list[str]:
    """What a user should know of a plan before any training."""
    return [*warnings(bench.suite, bench.datasets), *labelled_image_warnings(bench.cells)]


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


# --- status


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


# --- lists


def _list_methods(_: Path, plugins: Sequence[Path]) -> list[str]:
    infos = registry.methods(plugins)
    lines = [f"{name}: {info.card['summary']}" for name, info in infos.items()]
    for file in plugins:
        if file.stem not in infos:
            lines.append(f"({file} has no METHOD; see docs/add_a_method.md)")
    return lines


def _list_datasets(_: Path, plugins: Sequence[Path]) -> list[str]:
    families = sorted(registry.dataset_families(plugins).items())
    return [f"{name}: {module.__doc__}" for name, (module, _factory) in families]


def _list_suites(root: Path, _: Sequence[Path]) -> list[str]:
    files = sorted((root / "suites").rglob("*.yaml"))
    return [f"{file.relative_to(root)}: {suite_file.load(file).title}" for file in files]


def _list_metrics(_: Path, __: Sequence[Path]) -> list[str]:
    lines = []
    for column in COLUMNS:
        lines.append(f"{column.key}: {column.help} {column.better.capitalize()} is better.")
    return lines


# what -> lines, from the folder of the suites and plug-in files
LISTS: dict[str, Callable[[Path, Sequence[Path]], list[str]]] = {
    "methods": _list_methods,
    "datasets": _list_datasets,
    "suites": _list_suites,
    "metrics": _list_metrics,
}
