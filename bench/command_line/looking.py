"""Commands that look at what there is: folders, data, methods; and what one begins with."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.command_line.options import (
    Data,
    DatasetId,
    Draws,
    ExportedPatients,
    Listed,
    NewKind,
    NewName,
    NnUNetTo,
    Out,
    Plugins,
    SplitExport,
    check_file,
)
from bench.command_line.terminal import print_notes, say
from bench.errors import join_lines

if TYPE_CHECKING:
    from bench.planning.split import Split

ROOT = Path(__file__).resolve().parents[2]


def status(
    out: Out,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again and again until all runs have ended.")
    ] = False,
) -> None:
    """Say how many runs of OUT are done, running, failed and missing, and where they run."""
    from bench.command_line import status_text
    from bench.store import Store

    if not watch:
        say(status_text.status_text(Store(out)))
        return
    with suppress(KeyboardInterrupt):
        status_text.watch(Store(out))


def open_(out: Out) -> None:
    """Open the page of OUT in the browser."""
    from bench.errors import BenchError

    page = out / "report" / "index.html"
    if not page.is_file():
        raise BenchError(f"{out} given; it has no page yet; draw it with 'report {out}'")
    say(f"page: {page}")
    if typer.launch(str(page.resolve())):
        say("no browser could be started here; open that file yourself", err=True)


def explain(
    out: Out,
    method: Annotated[str, typer.Argument(help="A method, as the page names it.")],
    labelled: Annotated[int, typer.Argument(help="On how many labelled patients.")],
    metric: Annotated[str, typer.Argument(help="A metric, such as dice.")] = "dice",
    draw: Annotated[int, typer.Option(min=1, help="The draw whose patients are listed.")] = 1,
    dataset: Annotated[str, typer.Option(help="The data set, where there are several.")] = "",
) -> None:
    """Print how a number of the page comes about, from the scores of single cases up."""
    from bench.store import Store
    from bench.verify.explain import AskedNumber, explanation

    asked = AskedNumber(method, labelled, metric, draw, dataset)
    say(join_lines(explanation(Store(out), asked)))


def splits(
    dataset: DatasetId,
    data: Data = None,
    export: SplitExport = None,
    plugin: Plugins = None,
    subsets: Draws = 5,
    seed: Annotated[int, typer.Option(help="The suite's seed.")] = 0,
    nnunet: NnUNetTo = None,
    labelled: ExportedPatients = None,
    subset: Annotated[int, typer.Option(min=0, help="With --nnunet: the draw.")] = 0,
) -> None:
    """Show or write the split and the draws of labelled patients of a data set."""
    from bench import registry
    from bench.errors import BenchError
    from bench.execution.prediction.nnunet_export import write_nnunet
    from bench.planning import split
    from bench.planning.datasets import draw_split

    if (nnunet is None) != (labelled is None):
        raise BenchError("--nnunet goes with --labelled, and the other way round; give both")
    if export is not None:
        check_file("--export", export)
    cache = Path("runs") / "cache"
    drawn, notes = draw_split(dataset, data, cache, subsets, seed, plugin or [])
    print_notes(notes)
    _say_split(drawn)
    if export:
        split.export(drawn, export)
        say(f"written to {export}")
    if nnunet and labelled:
        chosen = registry.dataset(dataset, data, plugin or [])[0]
        say(write_nnunet(chosen, drawn, subset, labelled, nnunet))


def _say_split(drawn: Split) -> None:
    """The sides, and who is labelled first in each draw."""
    sides = {"train": drawn.train, "test": drawn.test}
    for side, cases in sides.items():
        say(f"{side}: {len(cases)} cases of {drawn.patients(cases)} patients")
    for subset, order in sorted(drawn.orders.items()):
        more = ", ..." if len(order) > 8 else ""
        say(f"subset {subset}: {', '.join(order[:8])}{more}")


def list_(what: Listed, plugin: Plugins = None) -> None:
    """List the available methods, data sets, suites or metrics, those of plug-ins among them."""
    from bench.command_line.lists import LISTS
    from bench.errors import BenchError

    if what not in LISTS:
        raise BenchError(f"list {what} given; expected one of {', '.join(LISTS)}")
    say(join_lines(LISTS[what](ROOT, plugin or [])))


def new(kind: NewKind, name: NewName) -> None:
    """Write a commented suite, method or data set to begin with; each of them runs as it is."""
    from bench.command_line.templates import write_new

    say(write_new(kind, name, ROOT / "templates", Path()).text)
