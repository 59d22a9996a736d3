"""Runs cells on the workers of a Dask cluster. Dask moves their keys; the folder holds all else."""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, cast

from bench.cell_folder import CellFolder
from bench.errors import BenchError
from bench.execution import attempts
from bench.execution.devices import NO_CARD
from bench.execution.engines import cell_on_worker
from bench.execution.engines.cell_on_worker import STOPPED, Errand, Proof
from bench.execution.executor import ANY, Executor, Finished, How, Needs
from bench.store import Store
from bench.worker.failures import DEVICE, DISK

if TYPE_CHECKING:
    from distributed import Client, Future

log = logging.getLogger("bench.execution.engines.dask_engine")
PACKAGE = "distributed"
LOOK_EVERY_S = 2.0  # for workers that came or went
LOOK_AGAIN_S = 0.1  # for files that other machines wrote
CLOSING_S = 20.0  # for workers to give back what they run
LOST_WORKER = "its worker is gone"
REST_S = 60.0  # of a worker whose machine lacked something, if there are others
LACKING = (DISK, DEVICE)


@dataclass(frozen=True)
class Worker:
    """A worker that fits."""

    places: int  # cells at once
    cards: int  # GPUs that it sees
    memory_gb: float

    def suits(self, needs: Needs) -> bool:
        """Whether a cell may be given to it at all: those on CPUs alone leave GPUs to others."""
        if needs.gpu and not self.cards:
            return False
        return needs.memory_gb * self.places <= self.memory_gb or self.places == 1


@dataclass
class Workers:
    """The workers of a cluster that have proved that they fit, and those that have not yet."""

    client: Client
    errand: Errand
    fit: dict[str, Worker] = field(default_factory=dict)  # by address
    proofs: dict[str, Future] = field(default_factory=dict)  # that are awaited
    refused: dict[str, str] = field(default_factory=dict)  # address -> reason
    looked_at: float = 0.0
    news: Event = field(default_factory=Event)  # something that was given to a worker has ended

    def submit(self, function: Callable[..., Any], address: str, *words: object) -> Future:
        """Give a worker something to do, which Dask neither moves nor tries again."""
        future = self.client.submit(
            function,
            self.errand,
            *words,
            key=f"{function.__name__}-{secrets.token_hex(8)}",
            workers=[address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        future.add_done_callback(lambda _: self.news.set())
        return future

    def look(self) -> None:
        """Take note of workers that came, went or have proved that they fit.

        Raises BenchError if the scheduler has been gone for too long, or if no worker may work.
        """
        now = time.monotonic()
        if now - self.looked_at < LOOK_EVERY_S and not self._has_news():
            return
        self.looked_at = now
        threads = self._connected()
        if threads is None:
            return
        for address in [known for known in self.fit if known not in threads]:
            del self.fit[address]
        for address in threads:
            if address not in self.fit and address not in self.refused:
                self._prove(address, threads[address])
        for address in [known for known in self.proofs if known not in threads]:
            del self.proofs[address]
        if threads and self.refused.keys() >= threads.keys():
            raise BenchError(f"no worker may work on this run; {min(self.refused.values())}")

    def _has_news(self) -> bool:
        return any(proof.done() for proof in self.proofs.values())

    def _connected(self) -> dict[str, int] | None:
        """How many cells each connected worker takes at once; None while there is no scheduler."""
        if self.client.status == "running":
            with suppress(OSError, TimeoutError):
                workers = self.client.scheduler_info(n_workers=-1)["workers"]
                return {address: facts["nthreads"] for address, facts in workers.items()}
        if self.client.status in ("closed", "closing"):
            raise BenchError(
                "the Dask scheduler is gone; finished runs are kept; start it with its workers "
                "and run the same command to go on"
            )
        return None

    def _prove(self, address: str, threads: int) -> None:
        """Ask a worker whether it fits, and read its answer."""
        proof = self.proofs.get(address)
        if proof is None:
            self.proofs[address] = self.submit(cell_on_worker.prove, address, PACKAGE)
            return
        if not proof.done():
            return
        del self.proofs[address]
        answer = _answer_of(proof, address)
        if answer is None:
            return
        if answer.refusal:
            self.refused[address] = answer.refusal
            log.warning("note: worker %s is left out: %s", address, answer.refusal)
        else:
            self.fit[address] = Worker(threads, answer.cards, answer.memory_gb)


def _answer_of(proof: Future, address: str) -> Proof | None:
    """What a worker says of itself; None where it went before it could say so."""
    if proof.status == "finished":
        answer: Proof = proof.result()
        return answer
    if proof.status != "error":
        return None
    problem = proof.exception()
    if type(problem).__name__ == "KilledWorker":
        return None
    words = f"{type(problem).__name__}: {problem}"
    return Proof(address, f"{address} cannot run this project: {words}")


class DaskExecutor:
    """Gives each cell to one worker that has a free place. Dask itself tries nothing again."""

    settles = True

    def __init__(self, workers: Workers, cards: Sequence[str] = ()) -> None:
        self.workers = workers
        self.cards = cards
        self.card_of: dict[str, str] = {}  # address of a worker -> the GPU that its cells see
        self.client = workers.client
        self.launch = workers.errand.launch
        self.futures: dict[Path, tuple[Future, str]] = {}  # and the address of the worker
        self.unseen: dict[Path, float] = {}  # cells that ended -> until when to look for them
        self.refused: list[Finished] = []
        self.resting: dict[str, float] = {}  # address of a worker -> until when
        self.awaited: set[Needs] = set()  # that no worker has, as was said
        workers.look()

    @property
    def slots(self) -> int:
        """How many cells may run at once on the workers that are there now."""
        if self.client.status != "running":
            return 0
        return sum(worker.places for worker in self.workers.fit.values())

    def lacks(self, needs: Needs) -> str:
        """Nothing for good: another worker may come."""
        return ""

    def has_room(self, needs: Needs) -> bool:
        """Whether a worker for such a cell has a free place."""
        if self.client.status != "running":
            return False
        self._tell_if_awaited(needs)
        return self._freest(needs) is not None

    def _tell_if_awaited(self, needs: Needs) -> None:
        """Say once that cells wait for a worker that has what they need."""
        fit = self.workers.fit.values()
        if not fit or needs in self.awaited or any(worker.suits(needs) for worker in fit):
            return
        self.awaited.add(needs)
        wanted = ["a GPU"] if needs.gpu else []
        wanted += [f"{needs.memory_gb:g} GB for each of its cells"] if needs.memory_gb else []
        log.warning("note: some runs wait for a worker with %s", " and ".join(wanted))

    def submit(self, folder: Path, time_limit_s: float, needs: Needs = ANY) -> None:
        """Give a cell to the worker with most free places, of those that may run it."""
        address = self._freest(needs)
        if address is None:
            self.refused.append(Finished(folder, "busy"))
            return
        run_cell = cell_on_worker.run_cell
        card = self._card(address) if needs.gpu is not False else NO_CARD
        future = self.workers.submit(run_cell, address, folder.name, time_limit_s, card)
        self.futures[folder] = (future, address)

    def _card(self, address: str) -> str | None:
        """The GPU of a worker of this machine; elsewhere each worker sees its own."""
        if not self.cards:
            return None
        if address not in self.card_of:
            used = Counter(
                self.card_of[known] for known in self.workers.fit if known in self.card_of
            )
            self.card_of[address] = min(self.cards, key=lambda card: used[card])
        return self.card_of[address]

    def _freest(self, needs: Needs) -> str | None:
        taken = Counter(address for _, address in self.futures.values())
        free: dict[str, int] = {}
        for address, worker in self.workers.fit.items():
            if worker.suits(needs):
                free[address] = worker.places - taken[address]
        now = time.monotonic()
        rested = {address: free[address] for address in free if self._rests_until(address) < now}
        free = rested or free
        best = max(free, key=lambda address: free[address], default=None)
        return best if best is not None and free[best] > 0 else None

    def _rests_until(self, address: str) -> float:
        return self.resting.get(address, 0.0)

    def _let_rest(self, address: str, finished: Finished) -> None:
        """Give a worker nothing for a while whose machine lacks something.

        Each cell would fail there at once, and the worker would take those of all others.
        """
        if finished.how not in LACKING:
            return
        if address not in self.resting:
            reason = f"{finished.how}: {finished.detail}"
            log.warning("note: worker %s rests for %g s: %s", address, REST_S, reason)
        self.resting[address] = time.monotonic() + REST_S

    def running(self) -> list[Path]:
        """The folders of the cells that run."""
        return [*self.futures, *self.unseen]

    def wait(self, timeout_s: float) -> list[Finished]:
        """The cells that ended since the last call; see `Executor.wait`."""
        self.workers.look()
        ended = self.refused
        self.refused = []
        if not ended:
            self._await_one(timeout_s)
        for folder, (future, address) in list(self.futures.items()):
            finished = self._ended(folder, future, address)
            if finished is not None:
                del self.futures[folder]
                self._let_rest(address, finished)
                ended.append(finished)
        return self._seen(ended)

    def _await_one(self, timeout_s: float) -> None:
        """Wait until a cell or a proof has ended, or for a while."""
        pause = LOOK_AGAIN_S if self.unseen else timeout_s
        self.workers.news.wait(pause)
        self.workers.news.clear()

    def _ended(self, folder: Path, future: Future, address: str) -> Finished | None:
        """How a cell ended; None while it runs, or while there is no scheduler to ask."""
        if self.client.status != "running":
            return None
        if future.status == "finished":
            how, detail = cast(tuple[How, str], future.result())
            if how == STOPPED:
                return Finished(folder, "lost", "its run was stopped")
            return Finished(folder, how, detail)
        if future.status == "error":
            problem = future.exception()
            if type(problem).__name__ == "KilledWorker":
                return Finished(folder, "lost", LOST_WORKER)
            return Finished(folder, "lost", f"{type(problem).__name__}: {problem}")
        if future.status in ("cancelled", "lost"):
            return Finished(folder, "lost", LOST_WORKER)
        if address not in self.workers.fit:
            future.cancel()
            return Finished(folder, "lost", LOST_WORKER)
        return None

    def _seen(self, ended: Sequence[Finished]) -> list[Finished]:
        """Those of the cells that ended whose end this machine sees; it may have to wait for it."""
        now = time.monotonic()
        seen: list[Finished] = []
        for finished in ended:
            is_over = finished.how != "ended" or attempts.is_over(CellFolder(finished.folder))
            if is_over:
                seen.append(finished)
            else:
                self.unseen[finished.folder] = now + attempts.SLOW_S
        for folder, until in list(self.unseen.items()):
            if attempts.is_over(CellFolder(folder)):
                seen.append(Finished(folder, "ended"))
            elif now > until:
                seen.append(Finished(folder, "lost", "its worker said that it ended; no file does"))
            else:
                continue
            del self.unseen[folder]
        return seen

    def close(self) -> None:
        """Have what still runs ended and given back."""
        if not self.futures:
            return
        with suppress(OSError, TimeoutError, RuntimeError):
            self.client.run(cell_on_worker.stop, self.launch, wait=True, on_error="ignore")
            until = time.monotonic() + CLOSING_S
            while time.monotonic() < until and self.client.status == "running":
                if all(future.done() for future, _ in self.futures.values()):
                    break
                time.sleep(0.1)
            self.client.cancel([future for future, _ in self.futures.values()])
        self.futures.clear()


class DaskEngine:
    """The workers of a cluster, for one command."""

    def __init__(self, client: Client, cards: Sequence[str] = ()) -> None:
        self.client = client
        self.cards = cards  # of this machine: one for each of its workers in turn

    def executor(self, store: Store, threads: int, plugins: Sequence[Path]) -> Executor:
        """What runs the cells of one stage; workers prove anew that they fit its plan."""
        files = tuple(str(file.resolve()) for file in plugins)
        errand = cell_on_worker.errand_of(store, files, secrets.token_hex(6), PACKAGE)
        return DaskExecutor(Workers(self.client, errand), self.cards)
