"""Mirrors what is finished: all of it at once, or each cell beside the run that makes it."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from bench.errors import BenchError
from bench.planning.plan_file import read_plan
from bench.scoring.score_cell import expect_whole_scores
from bench.store import Store, refuse_links
from bench.tracking.experiment import Mirror

log = logging.getLogger(__name__)
CLOSE_TIMEOUT_S = 60.0  # that the end of a run waits for the rest
# Between two answers of MLflow. A time limit of a request does not hold where a server sends a byte
# now and then.
ANSWER_TIMEOUT_S = 60.0


def sync(store: Store, uri: str | None = None) -> int:
    """Bring all finished cells of the plan into MLflow; returns how many runs were written.

    Raises BenchError, also where MLflow does not answer for ANSWER_TIMEOUT_S.
    """
    refuse_links(store.out)
    cells = [cell for cell in read_plan(store.out).cells if not cell.refusal]
    expect_whole_scores(store.cell(cell.key) for cell in cells)
    thread = SyncThread(store, uri)
    thread.start()
    thread.wait()
    if isinstance(thread.problem, BenchError):
        raise thread.problem
    if thread.problem is not None:  # MLflow, its database and the network each have their own
        raise BenchError(
            f"MLflow: {reason(thread.problem)}; results are complete; see MLFLOW_TRACKING_URI"
        ) from None
    return thread.written


class SyncThread(threading.Thread):
    """Writes all runs; it does not keep the process alive."""

    def __init__(self, store: Store, uri: str | None) -> None:
        super().__init__(daemon=True, name="mlflow sync")
        self.store = store
        self.uri = uri
        self.answered_at = time.monotonic()
        self.written = 0
        self.problem: Exception | None = None

    def run(self) -> None:
        """Write all runs, or keep the problem."""
        try:
            self.written = Mirror(self.store, self.uri, self._note_answer).write_all()
        except Exception as problem:
            self.problem = problem

    def _note_answer(self) -> None:
        self.answered_at = time.monotonic()

    def wait(self) -> None:
        """Wait for the end. Raises BenchError once MLflow has been silent for too long."""
        while self.is_alive():
            left = self.answered_at + ANSWER_TIMEOUT_S - time.monotonic()
            if left <= 0:
                raise BenchError(
                    f"MLflow: no answer for {ANSWER_TIMEOUT_S:.0f} s; results are complete; "
                    "see MLFLOW_TRACKING_URI"
                )
            self.join(left)


@contextmanager
def mirror(store: Store, uri: str | None = None) -> Iterator[Callable[[str], None]]:
    """Mirrors each key it is handed while a suite runs, and the rest at the end.

    Any trouble is one warning.
    """
    if os.environ.get("SCARCEBENCH_MLFLOW") == "off":
        yield lambda key: None
        return
    follower = Follower(store, uri)
    try:
        yield follower.tell
    except BaseException:
        follower.over.set()  # stopped, by the user or by an error: neither wait nor warn
        raise
    follower.close()


class Follower:
    """A thread that mirrors what it is told; it starts with the first cell, so as to delay none."""

    def __init__(self, store: Store, uri: str | None) -> None:
        self.store = store
        self.uri = uri
        self.told: SimpleQueue[str | None] = SimpleQueue()
        self.over = threading.Event()  # nothing more is to be said
        self.thread = threading.Thread(target=self._follow, daemon=True, name="mlflow mirror")

    def tell(self, key: str | None) -> None:
        """Have a finished cell mirrored soon; None says that no more follow."""
        self.told.put(key)
        if self.thread.ident is None:
            # Scoring and MLflow share scipy; where two threads import one package at once, one of
            # them may see half of it.
            import scipy.ndimage
            import scipy.spatial  # noqa: F401

            self.thread.start()

    def close(self) -> None:
        """Wait for the rest, but not for ever."""
        self.tell(None)
        self.thread.join(CLOSE_TIMEOUT_S)
        if self.thread.is_alive():
            self._warn(f"not ready after {CLOSE_TIMEOUT_S:.0f} s")

    def _follow(self) -> None:
        try:
            target = Mirror(self.store, self.uri)
            while (key := self.told.get()) is not None:
                target.write(key)
            target.write_all()
        except Exception as problem:
            self._warn(reason(problem))

    def _warn(self, text: str) -> None:
        if not self.over.is_set():
            self.over.set()
            later = f"results are complete; 'sync {self.store.out}' brings them later"
            log.warning("MLflow mirror off: %s; %s", text, later)


def reason(problem: Exception) -> str:
    """The first sentence of an exception, without passwords."""
    line = re.sub(r"//[^/@\s]+@", "//***@", " ".join(str(problem).split()))
    first = re.split(r"(?<=\w)\. ", line)[0].rstrip(".") or type(problem).__name__
    # The cause is often at the end.
    return first if len(first) < 240 else f"{first[:120]} ... {first[-120:]}"
