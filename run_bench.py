"""ScarceBench on the command line: parses options, calls bench and prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bench.command_line import data_sets, looking, machines, models, published
from bench.command_line.exits import exit_stopped, exit_with
from bench.command_line.options import (
    AssumeWorkers,
    CheckPage,
    Data,
    DatasetId,
    Deep,
    Devices,
    DryRun,
    EngineName,
    FailOnDrop,
    First,
    Formats,
    GridShrink,
    GridSize,
    Inception,
    ListCells,
    NewOut,
    Only,
    Out,
    PerDevice,
    Plugins,
    ProbeSteps,
    Public,
    Publish,
    Queue,
    QueueOptions,
    Renew,
    Retries,
    RetryFailed,
    Scheduler,
    Size,
    Steps,
    SuiteFile,
    Trusted,
    Workers,
    WriteJobs,
    check_file,
    check_index_folder,
    dry_run_request,
    engine_options,
    run_options,
)
from bench.command_line.refusals import one_line_refusals
from bench.command_line.terminal import make_output_safe, print_notes, say
from bench.errors import join_lines, printable

if TYPE_CHECKING:
    from bench.execution.progress import Progress
    from bench.stages import Bench
    from bench.store import Store

HERE = Path(__file__).resolve().parent
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
data_app = typer.Typer(help="Fetch data, and check it before using it.", rich_markup_mode=None)
app.add_typer(data_app, name="data")


@app.callback(invoke_without_command=True)
def main(context: typer.Context) -> None:
    """Compare methods for medical images with few labels. Without a command, runs the demo."""
    if context.invoked_subcommand is None:
        run(HERE / "suites" / "demo.yaml")


@app.command()
def run(
    suite: SuiteFile,
    data: Data = None,
    out: NewOut = None,
    size: Size = None,
    steps: Steps = None,
    only: Only = None,
    workers: Workers = None,
    device: Devices = "auto",
    plugin: Plugins = None,
    inception: Inception = None,
    retry_failed: RetryFailed = False,
    retries: Retries = 2,
    dry_run: DryRun = False,
    list_: ListCells = False,
    probe: ProbeSteps = False,
    assume_workers: AssumeWorkers = None,
    publish: Publish = False,
    renew: Renew = False,
    write_jobs: WriteJobs = None,
    engine: EngineName = "local",
    scheduler: Scheduler = None,
    queue: Queue = None,
    queue_options: QueueOptions = None,
    per_device: PerDevice = 1,
    first: First = None,
) -> None:
    """Run a suite, score it and draw its page; run it again to go on where it stopped."""
    from bench import stages
    from bench.dry_run import forecast
    from bench.planning import suite_file
    from bench.store import Store

    chosen = engine_options(engine, scheduler, queue, queue_options)
    options = run_options(
        only,
        workers,
        device,
        plugin,
        retry_failed,
        retries,
        publish,
        renew,
        chosen,
        per_device,
        first,
    )
    asked = dry_run_request(dry_run, list_, probe, assume_workers)
    loaded = suite_file.load(suite, size, steps, inception)
    store = Store(out or Path("runs") / loaded.name)
    bench = stages.plan_bench(loaded, data, store, options, size, asked)
    print_notes(stages.planning_notes(bench))
    if asked is not None:
        say(forecast(bench, asked))
        return
    if write_jobs:
        machines.write_jobs(bench, write_jobs, HERE / Path(__file__).name)
        return
    _carry_out(bench)


def _carry_out(bench: Bench) -> NoReturn:
    """Run all there is to run, say what was interrupted, draw the board, and exit."""
    from bench.command_line.progress_display import summary

    try:
        progress = _run_and_tune(bench)
    except KeyboardInterrupt:
        exit_stopped("cells")
    say(summary(progress), err=True)
    for reason in sorted(set(progress.interrupted.values())):
        say(printable(f"interrupted: {reason}; run the same command to go on"), err=True)
    _report(bench.store)
    exit_with(1, progress.failed > 0 or bool(progress.interrupted))


def _run_and_tune(bench: Bench) -> Progress:
    """Make all runs, then the studies, then the runs that these chose settings for."""
    from bench import finished_cells, stages, tracking
    from bench.command_line.progress_display import progress_display
    from bench.dry_run import tuning_to_come
    from bench.execution.progress import Stages
    from bench.live_page import LivePage
    from reports import write

    trials, tuned_cells = tuning_to_come(bench)
    say(f"data: {', '.join(bench.suite.datasets)} decoded and split", err=True)

    def draw_page() -> Path:
        return stages.report(bench.store, write, judged=False)[1]

    with (
        bench.store.launched(),
        machines.on_engine(bench) as ready,
        tracking.mirror(bench.store) as tell,
        progress_display() as shown,
    ):
        show = Stages(LivePage(shown, draw_page))
        progress = stages.run(ready, show.stage("runs", after=trials + tuned_cells), tell)
        if bench.suite.tuning:
            tuned, _ = stages.tune(ready, show.stage("tuning", within=trials, after=tuned_cells))
            progress = stages.run(tuned, show.stage("tuned runs"), tell)
        say("page: judging generated images and drawing it", err=True)
        # Before the mirror closes, so that it gets the distances too.
        finished_cells.judge(bench.store)
        device = bench.options.job_device
        if bench.suite.test_on:
            finished_cells.apply_to_others(bench.store, device, _say_tested_on)
        stages.close_board(bench)
    return progress


def _say_tested_on(name: str) -> None:
    say(f"test on: {name}", err=True)


@app.command()
def tune(
    suite: SuiteFile,
    data: Data = None,
    out: NewOut = None,
    size: Size = None,
    only: Only = None,
    workers: Workers = None,
    device: Devices = "auto",
    plugin: Plugins = None,
    retry_failed: RetryFailed = False,
    retries: Retries = 2,
    engine: EngineName = "local",
    scheduler: Scheduler = None,
    queue: Queue = None,
    queue_options: QueueOptions = None,
    per_device: PerDevice = 1,
) -> None:
    """Search for settings, with equal trials for every method; run it again to go on."""
    from bench import stages
    from bench.command_line.progress_display import progress_display
    from bench.errors import BenchError
    from bench.planning import suite_file
    from bench.store import Store

    chosen = engine_options(engine, scheduler, queue, queue_options)
    options = run_options(
        only, workers, device, plugin, retry_failed, retries, engine=chosen, per_device=per_device
    )
    loaded = suite_file.load(suite, size)
    store = Store(out or Path("runs") / loaded.name)
    bench = stages.plan_bench(loaded, data, store, options, size)
    try:
        with machines.on_engine(bench) as ready, progress_display() as show:
            _, table = stages.tune(ready, show)
    except KeyboardInterrupt:
        exit_stopped("trials")
    if not table:
        asked = f"--only {' '.join(only)}" if only else f"suite {loaded.name}"
        raise BenchError(f"{asked} given; no tuned cell of this suite matches; see 'run --dry-run'")
    say(table)
    say(f"studies: {store.out / 'studies'}")


@app.command()
def score(out: Out, plugin: Trusted = None) -> None:
    """Score the predictions in OUT, as far as they need it."""
    from bench import finished_cells
    from bench.store import Store

    say(f"{finished_cells.score(Store(out, plugin or []))} cells scored")


@app.command()
def report(
    out: Out,
    formats: Formats = "html,csv,md,tex",
    public: Public = False,
    plugin: Trusted = None,
) -> None:
    """Draw the leaderboard of all finished runs in OUT: board.json and files in OUT/report."""
    from bench.store import Store

    _report(Store(out, plugin or []), formats, public)


def _report(store: Store, formats: str = "html,csv,md,tex", public: bool = False) -> None:
    from bench import stages
    from bench.command_line.board_table import board_table
    from reports import write

    board, page = stages.report(store, write, formats, public)
    say(board_table(board))
    label = "page" if page.suffix else "files"
    say(f"{label}: {page}")


@app.command()
def verify(out: Out, deep: Deep = False, plugin: Trusted = None) -> None:
    """Recompute every number in OUT from its files and report differences; exit code 1 if any."""
    from bench.verify import verify as verifying
    from bench.verify.settled_store import SettledStore
    from reports import write

    checks = verifying.verify(SettledStore(out, plugin or []), write, deep)
    for check in checks:
        for line in check.lines():
            say(printable(line))
        if check.note:
            say(printable(f"note: {check.note}"), err=True)
    say(verifying.summary(checks))
    exit_with(1, any(check.mismatches for check in checks))


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="OUT_A", help="A folder that `run` wrote.")],
    after: Annotated[Path, typer.Argument(metavar="OUT_B", help="Another one.")],
    page: Annotated[Path | None, typer.Option(help="Also write the differences as a page.")] = None,
    fail_on_drop: FailOnDrop = False,
    plugin: Trusted = None,
) -> None:
    """Say what changed from OUT_A to OUT_B: rows, scores with paired intervals, ranks, settings."""
    from bench.diff import compare, text
    from bench.diff.read import read

    if page is not None:
        check_file("--page", page)
    plugins = plugin or []
    difference = compare.compare(read(before, plugins), read(after, plugins))
    if difference.has_nothing_comparable:
        say("nothing is comparable: no row of A and B has a number on the same data", colour="red")
    for alarm in difference.alarms:
        say(printable(f"NOT COMPARABLE: {alarm}"), colour="red")
    say(join_lines(text.lines(difference)))
    if page:
        from reports import diff as drawing
        from reports.write import write_page

        write_page(page, drawing.render(difference))
        say(f"page: {page}")
    drops = difference.drops if fail_on_drop else ()
    for drop in drops:
        say(printable(f"drop: {drop}"), err=True)
    exit_with(1, bool(drops))


@app.command()
def index(
    outs: Annotated[list[Path], typer.Argument(metavar="OUT...", help="Folders that `run` wrote.")],
    to: Annotated[Path, typer.Option(help="The folder for the pages.")] = Path("runs/site"),
    readme: Annotated[
        Path | None,
        typer.Option(help="A Markdown file that the answers of published boards are put into."),
    ] = None,
) -> None:
    """Write an index page of several leaderboards, with their pages, for any static host."""
    from reports import front_page
    from reports import index as indexing

    check_index_folder(to, outs)
    entries = indexing.read(outs)
    page = indexing.write(entries, to)
    if readme is not None:
        front_page.write(entries, readme)
    for entry in entries:
        if entry.private:
            pictures = f"pictures of {', '.join(entry.private)}, which may not be passed on"
            say(f"note: {to / entry.folder} holds {pictures}; do not publish it", err=True)
    say(f"page: {page}")


@app.command()
def sync(out: Out, plugin: Trusted = None) -> None:
    """Write the results of OUT to MLflow: to mlflow.db beside OUT, or to MLFLOW_TRACKING_URI."""
    from bench import tracking
    from bench.store import Store

    say(f"{tracking.sync(Store(out, plugin or []))} runs written")


@data_app.command("check")
def data_check(
    dataset: DatasetId,
    data: Data = None,
    plugin: Plugins = None,
    size: GridSize = "",
    shrink: GridShrink = "",
    html: CheckPage = None,
) -> None:
    """Read a whole data set and print what it holds and all its problems."""
    from reports import data_check as drawing

    data_sets.check_data(dataset, data, plugin or [], (size, shrink), html, drawing.write)


app.command()(machines.work)
app.command()(machines.merge)
app.command()(models.predict)
app.command()(models.export)
app.command()(models.weights)
app.command()(published.reproduce)
app.command()(looking.status)
app.command()(looking.explain)
app.command("open")(looking.open_)
app.command()(looking.splits)
app.command("list")(looking.list_)
app.command()(looking.new)
data_app.command("get")(data_sets.data_get)
data_app.command("convert")(data_sets.data_convert)


def command_line() -> None:
    """Run the app; bad input gives one line and exit code 2."""
    make_output_safe()
    with one_line_refusals():
        app()


if __name__ == "__main__":
    command_line()
