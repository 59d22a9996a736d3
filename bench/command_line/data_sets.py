"""Commands of `data`: fetch a data set, or say what a person has to do; check it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bench.command_line.exits import exit_with
from bench.command_line.options import Data, check_file
from bench.command_line.terminal import say

if TYPE_CHECKING:
    from bench.api import RawCase
    from bench.data.check import Report
    from bench.download.get import ShowFile
    from bench.download.sources import Source
    from bench.download.transfer import Progress as ShownProgress

    DrawPage = Callable[[Path, Report, Callable[[str], RawCase]], None]


def data_get(
    dataset: Annotated[str, typer.Argument(help="A data set id, such as kvasir_seg.")],
    data: Data = None,
) -> None:
    """Download a public data set and put it where its loader reads it, or say how to get it."""
    from bench import registry
    from bench.download.get import Fetch, missing_groups
    from bench.download.sources import read_sources, source_of
    from bench.errors import BenchError

    source = source_of(dataset, read_sources(registry.DATASETS / "sources.toml"))
    if data is None:
        raise BenchError(f"no data folder for {dataset!r}; give --data DIR or set SCARCEBENCH_DATA")
    say(f"{source.title}\n  page: {source.page}\n  terms: {source.terms}")
    say(f"  cite: {source.citation}")
    opens = source.opens or dataset
    home = data / dataset
    if _problem_of(opens, data) or missing_groups(source, home):
        _say_what_is_unchecked(source)
        with download_display() as show:
            fetch = Fetch(
                dataset, source, data, show, is_usable=lambda: _problem_of(opens, data) is None
            )
            fetch.run()
    problem = _problem_of(opens, data) or missing_groups(source, home)
    if problem is not None:
        _explain(source, home)
        raise BenchError(problem)
    exit_with(1, not _is_complete(opens, data, source))


def data_convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A folder, or a COCO json file.")],
    to: Annotated[str, typer.Option(help="folder (pictures) or nnunet (pictures and volumes).")],
    out: Annotated[
        Path, typer.Option(help="What to write: DATA/NAME, for nnunet DATA/Dataset<ddd>_<Name>.")
    ],
    classes: Annotated[
        str, typer.Option(help="background,liver,tumour: names, where the files have none.")
    ] = "",
) -> None:
    """Convert DICOM, NRRD, MHA, COCO or masks in colours into what `folder` or `nnunet` reads."""
    from bench import registry

    converters = registry.converters()
    names = tuple(name.strip() for name in classes.split(",")) if classes else ()
    converted = converters.convert(converters.Asked(source, out, to, names))
    say(f"{converted.cases} cases with {', '.join(converted.classes)}: {out}")
    for note in converted.notes:
        say(f"note: {note}", err=True)
    say(f"next: python run_bench.py data check {to}:{out.name} --data {out.parent}")


def check_data(
    dataset: str,
    data: Path | None,
    plugins: list[Path],
    grid: tuple[str, str],
    page: Path | None,
    draw: DrawPage,
) -> NoReturn:
    """Read a whole data set, print what it holds and all its problems, and exit.

    `grid` is a size and a shrink as texts; `draw` writes the page, if one is asked for.
    """
    from bench import registry
    from bench.data import check as checks
    from bench.data.check_text import render
    from bench.planning.datasets import obstacle

    if page is not None:
        check_file("--html", page)
    chosen = registry.dataset(dataset, data, plugins)[0]
    report = checks.check(chosen, checks.grid_from(*grid))
    say(render(report))
    if page is not None:
        records = {case.record.id: case.record for case in report.cases}
        draw(page, report, lambda case: chosen.read(records[case]))
        say(f"page: {page}")
        if report.card is not None and not report.card.redistribute:
            say("note: it holds pictures that may not be passed on; do not publish it", err=True)
    reason = obstacle(chosen) if report.usable else None
    if reason:
        say(f"but no run is possible: {reason}")
    exit_with(2, not report.usable or bool(reason))


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


def _say_what_is_unchecked(source: Source) -> None:
    """Say what this version does not know about the files that it is going to download."""
    if not source.files:
        return
    if "addresses" not in source.checked:
        say(
            "note: the address comes from the literature and was not tried for this version; if it "
            "fails, take the archive from the page and put it into the folder of the data set",
            err=True,
        )
    if any(file.sha256 is None for file in source.files):
        say(
            "note: no digest of the publisher is known; that of the first download is recorded, "
            "and compared from then on",
            err=True,
        )


def _is_complete(opens: str, data: Path, source: Source) -> bool:
    """Print how many cases there are, and whether these are all."""
    from bench import registry

    cases = len(registry.dataset(opens, data)[0].records())
    expected = " or ".join(str(count) for count in source.cases)
    is_whole = cases in source.cases
    if is_whole:
        say(f"complete: {cases} cases; use it as {opens}")
    elif "cases" not in source.checked:
        say(
            f"{cases} cases; expected {expected}, a number from the literature that was not "
            "counted on the files: cases may be missing or more, or that number is wrong"
        )
    else:
        say(f"{cases} cases; the whole data set has {expected}; some are missing, or are more")
    say(f"next: python run_bench.py data check {opens} --data {data}")
    return is_whole


@contextmanager
def download_display() -> Iterator[ShowFile]:
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
