"""The options that commands share, and checks of what they were given."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.errors import BenchError, cut

if TYPE_CHECKING:
    from bench.stages import RunOptions

MOST_STEPS = 10**8
MOST_WORKERS = 4096

SuiteFile = Annotated[Path, typer.Argument(help="A suite file, such as suites/demo.yaml.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="SCARCEBENCH_DATA",
        help="The folder that holds one folder for each data set id.",
    ),
]
NewOut = Annotated[
    Path | None, typer.Option("--out", help="The folder for results; runs/<suite> if not given.")
]
Size = Annotated[
    str | None, typer.Option("--size", help="An entry of the suite's `sizes`, such as small.")
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", help="Limit it to some runs: method=NAME,fraction=0.1; may be repeated."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        max=MOST_WORKERS,
        help="How many trainings at once; all cores if not given.",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]


def check_plugins(files: list[Path] | None) -> list[Path] | None:
    """The files given with --plugin. Raises BenchError for one that is not there."""
    for file in files or []:
        if not file.is_file():
            raise BenchError(
                f"--plugin {cut(str(file))} given; expected a Python file; give its path"
            )
    return files


Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        help="A file with a method or data set of yours; may be repeated.",
        callback=check_plugins,
    ),
]
Inception = Annotated[
    Path | None, typer.Option(help="The file of FID's Inception network; adds a column FID.")
]
Publish = Annotated[
    bool,
    typer.Option("--publish", help="Make the folder a published board; see docs/submit_a_row.md."),
]
Renew = Annotated[
    bool,
    typer.Option(
        "--renew", help="Train rows of a published board again whose code has changed since."
    ),
]
WriteJobs = Annotated[
    Path | None,
    typer.Option(
        "--write-jobs", help="Plan, write a script for SLURM to this folder, and train nothing."
    ),
]
Retries = Annotated[
    int,
    typer.Option(min=0, help="How often a cell is run again that the machine could not finish."),
]
Out = Annotated[Path, typer.Argument(help="A folder that `run` wrote.")]
Trusted = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        help="A plug-in that OUT was run with: imported only if named here; may be repeated.",
        callback=check_plugins,
    ),
]


def check_device(device: str) -> None:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise BenchError(f"--device {device} given; expected auto, cpu, cuda or cuda:N")
    if not device.startswith("cuda"):
        return
    import torch

    number = int(device.partition(":")[2] or 0)
    devices = torch.cuda.device_count()
    if number >= devices:
        raise BenchError(
            f"--device {device} given; torch finds {devices} GPUs here; give another one, or auto"
        )


def check_file(option: str, file: Path) -> None:
    """Raise BenchError if a file to be written has no name, or is a folder."""
    if not file.name or file.is_dir():
        raise BenchError(f"{option} {file} given; expected a file; give its name")


def check_index_folder(folder: Path, outs: Iterable[Path]) -> None:
    """Raise BenchError if an index would replace a page of a leaderboard."""
    for out in outs:
        if folder.resolve() in (out.resolve(), (out / "report").resolve()):
            raise BenchError(
                f"--to {folder} given; it holds the page of {out} itself; give another folder"
            )


def run_options(
    only: list[str] | None,
    workers: int | None,
    device: str,
    plugins: list[Path] | None,
    retry_failed: bool,
    retries: int,
    publish: bool = False,
    renew: bool = False,
) -> RunOptions:
    """The options of a run. Raises BenchError for values that cannot be used."""
    from bench.planning.filters import parse_filters
    from bench.stages import RunOptions

    check_device(device)
    parse_filters(only or [])
    return RunOptions(
        only or [], workers, device, plugins or [], retry_failed, retries, publish, renew
    )
