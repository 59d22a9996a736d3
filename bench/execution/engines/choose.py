"""Which engine brings cells to machines: this one, the workers of Dask, or the jobs of SLURM."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.errors import BenchError, cut
from bench.execution.driver import available_cores
from bench.execution.executor import Executor
from bench.store import Store

ENGINES = ("local", "dask", "slurm")
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
        if self.queue_options is not None and not takes_options:
            raise BenchError(
                f"--queue-options {self.queue_options} given; it goes with --queue, or with "
                "--engine slurm"
            )
        for package in PACKAGES.get(self.name, ()):
            if importlib.util.find_spec(package) is None:
                raise BenchError(
                    f"--engine {self.name} given; {package} is not installed; "
                    f"pip install 'scarcebench[{self.name}]'"
                )


class LocalEngine:
    """This machine alone."""

    def __init__(self, workers: int | None) -> None:
        self.workers = workers  # cells at once; all cores where None

    def executor(self, store: Store, threads: int, plugins: Sequence[Path]) -> Executor:
        """What runs the cells of one stage, each with so many threads."""
        from bench.execution.local import LocalExecutor

        return LocalExecutor(self.workers or available_cores(), threads)


@contextmanager
def opened_engine(options: EngineOptions, workers: int | None) -> Iterator[Engine]:
    """The engine that a user chose. Raises BenchError where it cannot be reached."""
    options.check()
    if options.name == "local":
        yield LocalEngine(workers)
    else:
        with _dask_engine(options, workers) as engine:
            yield engine


@contextmanager
def _dask_engine(options: EngineOptions, workers: int | None) -> Iterator[Engine]:
    from bench.execution.engines import dask_engine

    if options.scheduler is not None:
        with dask_engine.dask_client(options.scheduler) as client:
            yield dask_engine.DaskEngine(client)
        return
    cluster = dask_engine.cluster_here(workers or available_cores())
    with cluster as here, dask_engine.dask_client(here) as client:
        yield dask_engine.DaskEngine(client)
