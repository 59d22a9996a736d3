"""Runs cells in jobs of SLURM through submitit: each job takes free cells until none is left.

The driver writes what is to be done and watches the folder; it gives no cell to a job. Jobs may
therefore start late, be preempted or die without anything being lost.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cell_folder import CellFolder
from bench.errors import BenchError
from bench.execution import attempts, shared_work
from bench.execution.engines.queue_options import jobs_of
from bench.execution.executor import ANY, Executor, Finished, Needs
from bench.execution.local import ROOT
from bench.execution.shared_work import WorkOptions
from bench.execution.shift import Shift, wall_time
from bench.files.records import read_json, write_json
from bench.store import Store

log = logging.getLogger("bench.execution.engines.slurm_engine")
LOOK_EVERY_S = 2.0  # at the cells, and at the file that says that the driver has ended
ASK_EVERY_S = 30.0  # the queue for its jobs, at most
SEEN_AFTER_S = 90.0  # a slow file system shows what a job has written before it ended
CLOSING_S = 20.0
JOBS = 10  # at once, if the options do not say
CHUNK = 500  # jobs in one array
TIMEOUT_MIN = 720
ENDED = "the jobs of the queue have ended"


@dataclass(frozen=True)
class FolderJob:
    """What a job does, as `work OUT KEY...` does it; one that is preempted begins again."""

    out: str
    queue: str  # the folder of this run's keys, logs and words to its jobs
    device: str
    plugins: tuple[str, ...]

    def __call__(self) -> str:
        """Take free cells until none is left; returns why this machine may not, or ""."""
        # Queues end a job by this signal: what runs is given back then.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        plugins = [Path(file) for file in self.plugins]
        keys = read_json(Path(self.queue) / "keys.json") or []
        options = WorkOptions(keys=keys, workers=1, device=self.device, plugins=plugins)
        shift = WatchedShift(wall_time(None), Path(self.queue) / "stop")
        try:
            store = Store(Path(self.out), plugins)
            shared_work.work(store, options, shift, lambda progress: None)
        except KeyboardInterrupt:
            return ""
        except BenchError as problem:
            return str(problem)
        return ""

    def checkpoint(self) -> Any:
        """What submitit runs in the place of a job that was preempted."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class WatchedShift(Shift):
    """A wall time that is over, too, once a file is there."""

    def __init__(self, wall_time_s: float | None, stop: Path) -> None:
        super().__init__(wall_time_s)
        self.stop = stop
        self.looked_at = 0.0
        self.is_stopped = False

    @property
    def is_over(self) -> bool:
        """Whether what runs has to be ended now."""
        if time.monotonic() - self.looked_at > LOOK_EVERY_S:
            self.looked_at = time.monotonic()
            self.is_stopped = self.stop.exists()
        return self.is_stopped or super().is_over


class SlurmExecutor:
    """Has all cells done by as many jobs as the options say."""

    settles = True

    def __init__(
        self, submitter: Any, jobs: int, store: Store, device: str, plugins: Sequence[Path]
    ) -> None:
        self.submitter = submitter  # an executor of submitit
        self.most_jobs = jobs
        self.queue = Path(submitter.folder)
        files = tuple(str(file.resolve()) for file in plugins)
        self.job = FolderJob(str(store.out.resolve()), str(self.queue), device, files)
        self.jobs: list[Any] = []
        self.cells: list[Path] = []  # that are to be done
        self.is_new = False  # some of them are not in the list that jobs read
        self.asked_at = 0.0
        self.all_ended_at: float | None = None

    @property
    def slots(self) -> int:
        """How many cells may run at once."""
        return self.most_jobs

    def lacks(self, needs: Needs) -> str:
        """Nothing that the queue could not have."""
        return ""

    def has_room(self, needs: Needs) -> bool:
        """All cells are handed over at once: jobs choose from them."""
        return True

    def submit(self, folder: Path, time_limit_s: float, needs: Needs = ANY) -> None:
        """Put a cell on the list that jobs read."""
        self.cells.append(folder)
        self.is_new = True

    def running(self) -> list[Path]:
        """The cells that are not over."""
        return list(self.cells)

    def wait(self, timeout_s: float) -> list[Finished]:
        """The cells that ended since the last call, and those that no job is left for."""
        ended = [Finished(folder, "ended") for folder in self.cells if _is_over(folder)]
        if not ended and not self.is_new and self._all_ended():
            ended = [Finished(folder, "lost", ENDED) for folder in self.cells]
        gone = {finished.folder for finished in ended}
        self.cells = [folder for folder in self.cells if folder not in gone]
        if self.is_new and self.cells:
            self._start_jobs()
        if not ended:
            time.sleep(max(timeout_s, LOOK_EVERY_S))
        return ended

    def _start_jobs(self) -> None:
        """Write the list, and start jobs in arrays; earlier ones have nothing left to do."""
        self.is_new = False
        keys = [folder.name for folder in self.cells]
        self.queue.mkdir(parents=True, exist_ok=True)
        write_json(self.queue / "keys.json", keys)
        number = min(self.most_jobs, len(keys))
        self.jobs = []
        with _importable():
            for first in range(0, number, CHUNK):
                with self.submitter.batch():
                    chunk = range(first, min(number, first + CHUNK))
                    submitted = [self.submitter.submit(self.job) for _ in chunk]
                self.jobs += submitted
        self.all_ended_at = None

    def _all_ended(self) -> bool:
        """Whether no job is left, and what they wrote must have been seen.

        Raises BenchError if none of them may work on the folder.
        """
        now = time.monotonic()
        is_here = getattr(self.submitter, "cluster", "") == "local"
        if self.all_ended_at is None:
            if not is_here and now - self.asked_at < ASK_EVERY_S:
                return False
            self.asked_at = now
            if not all(job.done() for job in self.jobs):
                return False
            self.all_ended_at = now
            self._tell_refusals()
        return is_here or now - self.all_ended_at > SEEN_AFTER_S

    def _tell_refusals(self) -> None:
        refusals = [_refusal_of(job) for job in self.jobs]
        for refusal in sorted(set(filter(None, refusals))):
            log.warning("note: jobs are left out: %s", refusal)
        if self.jobs and all(refusals):
            raise BenchError(f"no job may work on this run; {min(refusals)}")

    def close(self) -> None:
        """Have what still runs given back, and end the jobs."""
        if not self.cells:
            return
        with suppress(OSError):
            (self.queue / "stop").touch()
        until = time.monotonic() + CLOSING_S
        while time.monotonic() < until and not all(job.done(force_check=True) for job in self.jobs):
            time.sleep(0.2)
        for job in self.jobs:
            with suppress(Exception):  # the queue may know it no longer
                job.cancel(check=False)


@contextmanager
def _importable() -> Iterator[None]:
    """Lets jobs, which have the environment of this process, import this harness."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [before])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _is_over(folder: Path) -> bool:
    return attempts.is_over(CellFolder(folder))


def _refusal_of(job: Any) -> str:
    """Why a job could not work; "" if it could, or was killed."""
    with suppress(Exception):  # one that was killed has left no word
        return str(job.result())
    return ""


class SlurmEngine:
    """A queue, for one command."""

    def __init__(self, options: dict[str, Any], device: str) -> None:
        self.jobs = jobs_of(options, JOBS)
        self.cluster = str(options.get("cluster", "slurm"))
        own = ("jobs", "cluster")
        self.parameters = {"timeout_min": TIMEOUT_MIN}
        self.parameters |= {name: value for name, value in options.items() if name not in own}
        self.device = device
        self._submitter(Path(tempfile.gettempdir()))  # raises

    def executor(self, store: Store, threads: int, plugins: Sequence[Path]) -> Executor:
        """What runs the cells of one stage."""
        submitter = self._submitter(store.out.resolve() / "jobs" / secrets.token_hex(6))
        return SlurmExecutor(submitter, self.jobs, store, self.device, plugins)

    def _submitter(self, folder: Path) -> Any:
        """An executor of submitit. Raises BenchError for options that it does not know."""
        import submitit

        try:
            submitter = submitit.AutoExecutor(folder=folder, cluster=self.cluster)
            submitter.update_parameters(**self.parameters)
        except (NameError, TypeError, ValueError, AssertionError, RuntimeError) as problem:
            reason = str(problem).partition("\n")[0]
            raise BenchError(
                f"--engine slurm --queue-options: {reason}; see docs/clusters.md"
            ) from None
        return submitter
