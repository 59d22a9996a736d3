"""A scheduler of Dask and its workers, each a process with a working folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.command_line import ROOT

START_S = 60.0


@dataclass(frozen=True)
class Host:
    """Where a process runs: this machine, or a network namespace that plays another one."""

    address: str = "127.0.0.1"
    prefix: tuple[str, ...] = ()  # words before a command

    @property
    def options(self) -> list[str]:
        """What a process of Dask is told of it."""
        return ["--host", self.address, "--no-dashboard"]


HERE = Host()


@dataclass
class DaskCluster:
    """Processes of a cluster on 127.0.0.1."""

    folder: Path
    scheduler: subprocess.Popen[str] | None = None
    workers: list[subprocess.Popen[str]] = field(default_factory=list)
    starts: int = 0
    homes: int = 0  # folders of workers, those that were killed included

    @property
    def address(self) -> str:
        """Where the scheduler listens, once it does."""
        file = self.folder / f"address-{self.starts}"
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            for line in file.read_text().splitlines() if file.exists() else []:
                if "Scheduler at:" in line:
                    return line.rpartition(" ")[2].strip()
            time.sleep(0.05)
        raise TimeoutError("no scheduler of Dask started")

    def start(self, hosts: Sequence[Host]) -> str:
        """Start a scheduler on the first host and a worker on each; returns the address."""
        self.starts += 1
        words = ["dask_scheduler", "--port", "0", *hosts[0].options]
        self.scheduler = self._process(words, self.folder, f"address-{self.starts}", hosts[0])
        for host in hosts:
            self.add_worker(self.address, host)
        return self.address

    def add_worker(
        self, address: str, host: Host = HERE, root: Path = ROOT
    ) -> subprocess.Popen[str]:
        """Start a worker in a new folder."""
        self.homes += 1
        home = self.folder / f"worker-{self.homes}"
        home.mkdir()
        words = ["dask_worker", address, "--nthreads", "1", *host.options]
        words += ["--memory-limit", "0", "--local-directory", str(home)]
        worker = self._process(words, home, "output", host, root)
        self.workers.append(worker)
        return worker

    def _process(
        self, words: Sequence[str], home: Path, output: str, host: Host, root: Path = ROOT
    ) -> subprocess.Popen[str]:
        module, *options = words
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
        with (home / output).open("w") as target:
            return subprocess.Popen(
                [*host.prefix, sys.executable, "-m", f"distributed.cli.{module}", *options],
                stdout=target,
                stderr=target,
                cwd=home,
                env=environment,
                start_new_session=True,
                text=True,
            )

    def stop(self) -> None:
        """Kill all that runs."""
        for process in [*self.workers, *filter(None, [self.scheduler])]:
            kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process with all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def dask_cluster(folder: Path, hosts: Sequence[Host] = (HERE, HERE)) -> Iterator[DaskCluster]:
    """A cluster that is killed at the end."""
    cluster = DaskCluster(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        cluster.start(hosts)
        yield cluster
    finally:
        cluster.stop()
