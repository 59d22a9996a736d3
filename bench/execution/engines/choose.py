"""Which engine brings cells to machines: this one, the workers of Dask, or the jobs of SLURM."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.errors import BenchError, cut
from bench.execution.devices import cells_at_once, devices_here
from bench.execution.engines.dask_clusters import (
    check_queue,
    cluster_here,
    cluster_of_queue,
    dask_client,
    expect_listener,
)
from bench.execution.engines.dask_engine import DaskEngine
from bench.execution.engines.queue_options import read_queue_options
from bench.execution.executor import Executor
from bench.execution.local import local_executor
from bench.store import Store

ENGINES = ("local", "dask", "slurm")
QUEUES = ("slurm", "pbs", "lsf", "sge")
PACKAGES = {"dask": ("distributed", "dask_jobqueue"), "slurm": ("submitit",)}  # of the extras


class Engine(Protocol):
    """Makes executors, for as long as a command runs."""

    def executor(self, store: Store, threads: int, plugins: Sequence[Path]) -> Executor:
        """What runs the cells of one stage, each with so many threads."""
        ...


@dataclass(frozen=True)
class EngineOptions:
    """What a user says of the engine."""

    name: str = "local"
    scheduler: str | None = None  # the address of a scheduler of Dask
    queue: str | None = None  # of the cluster that Dask is to get workers from
    queue_options: Path | None = None

    @property
    def where(self) -> str:
        """local, or the engine whose workers are on other machines."""
        is_here = self.name == "dask" and self.scheduler is None and self.queue is None
        return "local" if is_here else self.name

    def check(self) -> None:
        """Raise BenchError for options that do not go together, or for a missing extra."""
        if self.name not in ENGINES:
            raise BenchError(
                f"--engine {cut(self.name)} given; expected one of {', '.join(ENGINES)}"
            )
        given = {"--scheduler": self.scheduler, "--queue": self.queue}
        for option, value in given.items():
            if value is not None and self.name != "dask":
                raise BenchError(f"{option} {cut(value)} given; it goes with --engine dask alone")
        if self.scheduler is not None and self.queue is not None:
            raise BenchError(f"--queue {cut(self.queue)} given with --scheduler; drop one of them")
        takes_options = self.name == "slurm" or self.queue is not None
        if self.queue is not None and self.queue not in QUEUES:
            raise BenchError(
                f"--queue {cut(self.queue)} given; expected one of {', '.join(QUEUES)}"
            )
        if self.queue_options is not None and not takes_options:
            raise BenchError(
                f"--queue-options {self.queue_options} given; it goes with --queue, or with "
                "--engine slurm"
            )
        for package in PACKAGES.get(self.name, ()):
            if importlib.util.find_spec(package) is None:
                raise BenchError(
                    f"--engine {self.name} given; {package} is not installed; "
                    f"pip install -e '.[{self.name}]' in the folder of ScarceBench"
                )
        self._check_what_is_there()

    def _check_what_is_there(self) -> None:
        """Raise BenchError where nobody listens, or for options that a queue does not have."""
        options = read_queue_options(self.queue_options)
        if self.name == "slurm":
            from bench.execution.engines.slurm_engine import SlurmEngine

            SlurmEngine(options, "auto")
        elif self.scheduler is not None:
            expect_listener(self.scheduler)
        elif self.queue is not None:
            check_queue(self.queue, options)


class LocalEngine:
    """This machine alone."""

    def __init__(self, workers: int | None, device: str = "auto", per_device: int = 1) -> None:
        self.workers = workers  # cells at once; if None, one for each place on a GPU, or each core
        self.device = device
        self.per_device = per_device

    def executor(self, store: Store, threads: int, plugins: Sequence[Path]) -> Executor:
        """What runs the cells of one stage, each with so many threads."""
        return local_executor(threads, self.workers, self.device, self.per_device)


@contextmanager
def opened_engine(
    options: EngineOptions,
    workers: int | None,
    device: str = "auto",
    per_device: int = 1,
    threads: int = 1,
) -> Iterator[Engine]:
    """The engine that a user chose, for cells of so many threads.

    Raises BenchError where it cannot be reached.
    """
    if options.name == "local":
        yield LocalEngine(workers, device, per_device)
    elif options.name == "slurm":
        from bench.execution.engines.slurm_engine import SlurmEngine

        yield SlurmEngine(read_queue_options(options.queue_options), device)
    elif options.scheduler is not None:
        with dask_client(options.scheduler) as client:
            yield DaskEngine(client)
    elif options.queue is not None:
        wanted = read_queue_options(options.queue_options)
        with cluster_of_queue(options.queue, wanted) as cluster, dask_client(cluster) as client:
            yield DaskEngine(client)
    else:
        here = devices_here(device, per_device)
        cards = () if here.by_name else here.cards
        count = workers or cells_at_once(here, threads)
        with cluster_here(count) as cluster, dask_client(cluster) as client:
            yield DaskEngine(client, cards)
