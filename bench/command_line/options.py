"""The options that commands share, and checks of what they were given."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.errors import BenchError, cut

if TYPE_CHECKING:
    from bench.costs.request import DryRunRequest
    from bench.execution.engines.choose import EngineOptions
    from bench.execution.prediction.chosen_models import AskedModels
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
        help="How many trainings at once; one for each GPU, or each core, if not given.",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Devices = Annotated[
    str,
    typer.Option(
        "--device", help="auto (all GPUs, else the cores), cpu, cuda, cuda:N or cuda:0,cuda:1."
    ),
]
PerDevice = Annotated[
    int, typer.Option(min=1, max=64, help="How many trainings at once on each GPU.")
]
First = Annotated[
    list[str] | None,
    typer.Option("--first", help="Begin with some runs: method=NAME; written as for --only."),
]
Steps = Annotated[
    int | None, typer.Option(min=1, max=MOST_STEPS, help="Train for another number of steps.")
]
RetryFailed = Annotated[
    bool, typer.Option(help="Repeat failed runs, and failed trials with those after them.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would run and for how long; trains nothing.")
]
ListCells = Annotated[
    bool, typer.Option("--list", help="With --dry-run: a line for each run, with its key.")
]
ProbeSteps = Annotated[
    bool, typer.Option("--probe", help="With --dry-run: train a few steps of each method.")
]
AssumeWorkers = Annotated[
    int | None,
    typer.Option(min=1, help="With --dry-run: the time on a machine with room for so many."),
]


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
EngineName = Annotated[
    str, typer.Option("--engine", help="What brings runs to machines: local, dask or slurm.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="With --engine dask: an address such as tcp://host:8786; DASK_SCHEDULER_ADDRESS if "
        "not given; without one, workers of this machine.",
    ),
]
Queue = Annotated[
    str | None,
    typer.Option(help="With --engine dask: get workers from slurm, pbs, lsf or sge."),
]
QueueOptions = Annotated[
    Path | None,
    typer.Option(help="What the queue asks for, as YAML; see docs/clusters.md."),
]
Retries = Annotated[
    int,
    typer.Option(min=0, help="How often a run is started again that the machine could not finish."),
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


Formats = Annotated[
    str, typer.Option("--format", help="Some of html, csv, md and tex, separated by commas.")
]
Public = Annotated[
    bool,
    typer.Option("--public", help="Leave out pictures whose licence forbids redistribution."),
]
Deep = Annotated[bool, typer.Option("--deep", help="Score the stored predictions again too.")]
Keys = Annotated[
    list[str], typer.Argument(metavar="KEY...", help="Keys of finished runs; see the page.")
]
KeyAndImages = Annotated[
    list[str],
    typer.Argument(
        metavar="[KEY] IMAGES",
        help="The key of a run, or its first characters (see the page), unless --method is given; "
        "then a folder of images, or of NIfTI volumes.",
    ),
]
Method = Annotated[str, typer.Option(help="Instead of a key: a method, as the page names it.")]
Labelled = Annotated[
    int | None, typer.Option(help="With --method: on how many labelled patients it was trained.")
]
Subset = Annotated[int | None, typer.Option(help="With --method: the draw of these; 0 if none.")]
EnsembleOf = Annotated[
    bool, typer.Option("--ensemble", help="With --method: the mean of the models of all draws.")
]
ReproducedTo = Annotated[
    Path | None, typer.Option(help="The folder for the new runs; runs/reproduced/<name>.")
]
MasksTo = Annotated[
    Path | None, typer.Option(help="The folder for masks; <images>_masks if not given.")
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="Also write the probabilities, as NAME.npz.")
]
Overlays = Annotated[
    bool, typer.Option("--overlays", help="Also draw each mask over its image, in overlays/.")
]
ExportTo = Annotated[Path | None, typer.Option("--to", help="The folder; OUT/export/KEY.")]
ModelKey = Annotated[
    str | None,
    typer.Argument(metavar="[KEY]", help="The key of a run, unless --method is given."),
]
FailOnDrop = Annotated[
    bool,
    typer.Option(
        "--fail-on-drop", help="Exit code 1 if a headline score fell beyond its interval."
    ),
]
DatasetId = Annotated[str, typer.Argument(help="A data set id, such as kvasir_seg or folder:NAME.")]
SplitExport = Annotated[
    Path | None, typer.Option(help="Write the split to this file, for `split:` in a suite.")
]
NnUNetTo = Annotated[
    Path | None,
    typer.Option(
        help="Write a dataset folder of nnU-Net, such as nnUNet_raw/Dataset101_acdc4, with "
        "--labelled and --subset."
    ),
]
ExportedPatients = Annotated[
    int | None, typer.Option(min=1, help="With --nnunet: how many patients are labelled.")
]
GridSize = Annotated[
    str, typer.Option(help="The size of a suite, such as 64x64: names classes lost on it.")
]
GridShrink = Annotated[str, typer.Option(help="With a size in 3D: its shrink, such as 2x2x2.")]
CheckPage = Annotated[
    Path | None, typer.Option("--html", help="Also write the report as a page, with pictures.")
]
Draws = Annotated[
    int, typer.Option(min=1, max=1000, help="How many draws of the labelled patients.")
]
Listed = Annotated[str, typer.Argument(help="methods, datasets, suites or metrics")]
NewKind = Annotated[str, typer.Argument(metavar="WHAT", help="suite, method or dataset")]
NewName = Annotated[str, typer.Argument(help="What it is to be called, and its file or folder.")]


def check_device(device: str) -> None:
    """Raise BenchError for what is no device of this machine, or several."""
    from bench.execution.devices import devices_here

    if "," in device:
        raise BenchError(
            f"--device {cut(device)} given; expected auto, cpu, cuda or cuda:N; name one"
        )
    devices_here(device)


def check_devices(device: str, engine: str = "local") -> None:
    """Raise BenchError for what are no devices here, or those of workers on other machines."""
    from bench.execution.devices import devices_here, parse_devices

    if engine == "local":
        devices_here(device)
        return
    parse_devices(device)
    if ":" in device:
        raise BenchError(
            f"--device {cut(device)} given; each worker of --engine {engine} sees GPUs of its own; "
            "expected auto, cpu or cuda; see docs/clusters.md"
        )


def dry_run_request(
    dry_run: bool, listed: bool, probe: bool, assume_workers: int | None
) -> DryRunRequest | None:
    """What a dry run is asked for; None for a real one. Raises BenchError."""
    from bench.costs.request import DryRunRequest

    asked = DryRunRequest(listed, probe, assume_workers)
    if dry_run:
        return asked
    if asked != DryRunRequest():
        raise BenchError(
            "--list, --probe or --assume-workers given; they go with --dry-run; add it"
        )
    return None


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
    engine: EngineOptions | None = None,
    per_device: int = 1,
    first: list[str] | None = None,
) -> RunOptions:
    """The options of a run. Raises BenchError for values that cannot be used."""
    from bench.execution.engines.choose import EngineOptions
    from bench.planning.filters import parse_filters
    from bench.stages import RunOptions

    engine = engine or EngineOptions()
    check_devices(device, engine.where)
    parse_filters(only or [])
    parse_filters(first or [], "--first")
    return RunOptions(
        only=only or [],
        workers=workers,
        device=device,
        plugins=plugins or [],
        retry_failed=retry_failed,
        retries=retries,
        publish=publish,
        renew=renew,
        engine=engine,
        per_device=per_device,
        first=first or [],
    )


def engine_options(
    name: str, scheduler: str | None, queue: str | None, queue_options: Path | None
) -> EngineOptions:
    """What brings runs to machines. Raises BenchError for options that cannot be used."""
    from bench.execution.engines.choose import EngineOptions

    if name == "dask" and scheduler is None and queue is None:
        scheduler = os.environ.get("DASK_SCHEDULER_ADDRESS") or None
    options = EngineOptions(name, scheduler, queue, queue_options)
    options.check()
    return options


def asked_models(
    words: list[str], method: str, labelled: int | None, subset: int | None, ensemble: bool
) -> tuple[AskedModels, Path]:
    """The models and the folder of images that `predict` is given. Raises BenchError."""
    from bench.execution.prediction.chosen_models import AskedModels

    *keys, images = words
    if len(keys) > 1:
        raise BenchError(
            f"{len(words)} words given after OUT; expected a key and a folder of images, or such a "
            "folder with --method; quote names that hold blanks"
        )
    return AskedModels("".join(keys), method, labelled, subset, ensemble), Path(images)
