"""`data get`: fetches a data set, and says what is missing where a person has to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.command_line.exits import exit_with
from bench.command_line.options import Data
from bench.command_line.terminal import say

if TYPE_CHECKING:
    from bench.download.get import ShowFile
    from bench.download.sources import Source
    from bench.download.transfer import Progress as ShownProgress


def data_get(
    dataset: Annotated[str, typer.Argument(help="A data set id, such as kvasir_seg.")],
    data: Data = None,
) -> None:
    """Download a public data set and put it where its loader reads it, or say how to get it."""
    from bench import registry
    from bench.download.get import Fetch
    from bench.download.sources import read_sources, source_of
    from bench.errors import BenchError

    source = source_of(dataset, read_sources(registry.DATASETS / "sources.toml"))
    if data is None:
        raise BenchError(f"no data folder for {dataset!r}; give --data DIR or set SCARCEBENCH_DATA")
    say(f"{source.title}\n  page: {source.page}\n  terms: {source.terms}")
    say(f"  cite: {source.citation}")
    opens = source.opens or dataset
    if _problem_of(opens, data) is not None:
        with _download_display() as show:
            Fetch(dataset, source, data, show).run()
    problem = _problem_of(opens, data)
    if problem is not None:
        _explain(source, data / dataset)
        raise BenchError(problem)
    exit_with(1, not _is_complete(opens, data, source))


def _problem_of(opens: str, data: Path) -> str | None:
    """Why a data set cannot be used as it lies there, or None if it can."""
    from bench import registry
    from bench.errors import DataProblem

    try:
        records = registry.dataset(opens, data)[0].records()
    except DataProblem as problem:
        return str(problem)
    return None if records else f"{opens}: no cases"


def _explain(source: Source, home: Path) -> None:
    """Print what the user has to do where there is no public address."""
    for number, step in enumerate(source.steps, 1):
        say(f"  {number}. {step.replace('{home}', str(home))}")
    if source.steps:
        say("  then run this command again: it unpacks archives and checks what is there")


def _is_complete(opens: str, data: Path, source: Source) -> bool:
    """Print how many cases there are, and whether these are all."""
    from bench import registry

    cases = len(registry.dataset(opens, data)[0].records())
    expected = " or ".join(str(count) for count in source.cases)
    is_whole = cases in source.cases
    if is_whole:
        say(f"complete: {cases} cases; use it as {opens}")
    else:
        say(f"{cases} cases; the whole data set has {expected}; some are missing, or are more")
    say(f"next: python run_bench.py data check {opens} --data {data}")
    return is_whole


@contextmanager
def _download_display() -> Iterator[ShowFile]:
    """Bars of downloads, where there is a terminal; elsewhere a line for each file."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    terminal = Console(stderr=True)
    bars = Progress(*columns, TransferSpeedColumn(), console=terminal)

    def show_file(name: str) -> ShownProgress:
        if not terminal.is_terminal:
            say(f"downloading {name}", err=True)
        task = bars.add_task(name, total=None)

        def show(received: int, total: int | None) -> None:
            bars.update(task, completed=received, total=total)

        return show

    bars.disable = not terminal.is_terminal
    with bars:
        yield show_file
