"""Commands of many machines: what their jobs run, and how their folders come together."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.command_line.exits import exit_with
from bench.command_line.options import (
    Devices,
    Only,
    PerDevice,
    Retries,
    Trusted,
    Workers,
    check_devices,
)
from bench.command_line.terminal import say

if TYPE_CHECKING:
    from bench.stages import Bench


def work(
    out: Annotated[Path, typer.Argument(help="A folder that `run` planned.")],
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="KEY...", help="Keys of runs; see the page.")
    ] = None,
    any_: Annotated[bool, typer.Option("--any", help="Take every run that nobody holds.")] = False,
    wall_time: Annotated[
        str | None,
        typer.Option(help="How long this job may take, such as 2:00:00; that of a SLURM job."),
    ] = None,
    only: Only = None,
    workers: Workers = None,
    device: Devices = "auto",
    per_device: PerDevice = 1,
    plugin: Trusted = None,
    retries: Retries = 2,
) -> None:
    """Train and score free runs of a folder that several machines share; see docs/clusters.md."""
    from bench.command_line.progress_display import progress_display, summary
    from bench.costs.lengths import training_length
    from bench.errors import BenchError
    from bench.execution import shared_work
    from bench.execution.shift import Shift
    from bench.execution.shift import wall_time as parse_wall_time
    from bench.store import Store

    if any_ == bool(keys):
        raise BenchError(f"work {out} given; expected --any, or keys of runs; give one of them")
    check_devices(device)
    shift = Shift(parse_wall_time(wall_time))
    options = shared_work.WorkOptions(
        keys or [], only or [], workers, device, plugin or [], retries, per_device, training_length
    )
    # Queues end a job by this signal: what runs is given back then.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with progress_display() as show:
            progress = shared_work.work(Store(out, plugin or []), options, shift, show)
    except KeyboardInterrupt:
        say("stopped; finished runs are kept, others may go on with the rest", err=True)
        raise typer.Exit(130) from None
    say(summary(progress), err=True)
    exit_with(1, progress.failed > 0 or bool(progress.interrupted))


def merge(
    outs: Annotated[list[Path], typer.Argument(metavar="OUT...", help="Folders of one plan.")],
    to: Annotated[Path, typer.Option(help="The folder for all their runs; a new one.")],
) -> None:
    """Unite folders of one plan that machines without a shared disk worked on."""
    from bench.execution import merge as merging

    say(f"{merging.merge(outs, to)} runs in {to}; 'report' draws their page")


def write_jobs(bench: Bench, folder: Path, program: Path) -> None:
    """Write what a queue is to run, and say how it is started."""
    from bench.execution.engines import job_script

    options = bench.options
    command = job_script.work_command(program, bench.store.out, options.device, options.plugins)
    missing = sum(bench.store.state(cell.key) == "missing" for cell in bench.cells)
    script = job_script.write_job_script(folder, bench.suite.name, missing, command)
    if bench.suite.tuning:
        say("note: tuning is left to 'run', after these jobs", err=True)
    say(f"jobs: sbatch {script}; then the same 'run' without --write-jobs")


@contextmanager
def on_engine(bench: Bench) -> Iterator[Bench]:
    """A bench whose cells run where the user wants them. Raises BenchError if they cannot."""
    from bench.execution.engines.choose import opened_engine

    options = bench.options
    with opened_engine(
        options.engine,
        options.workers,
        options.device,
        options.per_device,
        bench.suite.threads,
    ) as engine:
        yield replace(bench, engine=engine)
