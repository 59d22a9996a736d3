"""Leases: claims on a folder that hold across machines, whatever their clocks say.

A lease is a file that is created at once and whole. Its holder touches it every RENEW_S seconds;
once that has not happened for EXPIRES_S seconds, by the clock of the file server, another process
may take it over. Processes under one kernel need not wait that long: they have file locks, see
`bench.store.claim`, and take a lease only while they hold the lock.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import getpid
from pathlib import Path

from bench.errors import BenchError
from bench.files import hosts
from bench.files.records import create_record, read_record, write_record

LEASE = "lease"
EXPIRES_S = 300.0
RENEW_S = 30.0
CLOCK_KEPT_S = 10.0  # between two looks at the clock of the file server


@dataclass(frozen=True)
class Lease:
    """Who holds a folder, and where it works."""

    token: str  # of this lease alone
    host: str
    kernel: str  # see `hosts.kernel_id`
    process: int
    job: str  # of a queue; "" outside of one
    since: str  # UTC, by the clock of the file server
    attempt: str  # the folder that its holder works in
    before: str = ""  # that of the holder before
    ended: bool = False  # the holder gave it up, and left what others may go on from

    @property
    def is_of_this_kernel(self) -> bool:
        """Whether its holder would be seen to hold the file lock."""
        return self.kernel == hosts.kernel_id()


UNREADABLE = Lease("", "an unknown host", "", 0, "", "", "")


def read_lease(folder: Path) -> Lease | None:
    """The lease on a folder, which may have expired; None where there is none."""
    try:
        return read_record(folder / LEASE, Lease, "remove it")
    except BenchError:  # of another version
        return UNREADABLE


@dataclass(frozen=True)
class Holder:
    """Who holds a folder, and when it was last heard of."""

    lease: Lease
    silent_s: float | None  # None where the clock of the file server cannot be asked


def holder_of(folder: Path) -> Holder | None:
    """Who holds a folder, if it is held; None for a lease that was given up."""
    lease = read_lease(folder)
    if lease is None or lease.ended:
        return None
    return Holder(lease, age(folder / LEASE))


def is_live(folder: Path) -> bool:
    """Whether a process of another machine holds a folder, as far as files tell."""
    lease = read_lease(folder)
    return lease is not None and not _is_over(folder, lease)


def _is_over(folder: Path, lease: Lease) -> bool:
    """Whether a lease may be taken over by who holds the file lock of the folder."""
    if lease.ended or lease.is_of_this_kernel:
        return True
    return (age(folder / LEASE) or 0.0) > EXPIRES_S


def take(folder: Path, attempt: str) -> HeldLease | None:
    """Take the lease on a folder; None if another process holds it."""
    lease = _new_lease(folder, attempt)
    if create_record(folder / LEASE, lease):
        return HeldLease(folder, lease)
    current = read_lease(folder)
    if current is None or not _is_over(folder, current):
        return None  # where it has just been given up, the caller tries again later
    lease = replace(lease, before=current.attempt)
    with _change_of(folder, current) as is_alone:
        if not is_alone:
            return None
        write_record(folder / LEASE, lease)
    return HeldLease(folder, lease, current)


def _new_lease(folder: Path, attempt: str) -> Lease:
    since = datetime.fromtimestamp(server_time(folder), UTC).isoformat(timespec="seconds")
    token = secrets.token_hex(8)
    name = hosts.host_name()
    return Lease(token, name, hosts.kernel_id(), getpid(), hosts.queue_job(), since, attempt)


@contextmanager
def _change_of(folder: Path, lease: Lease) -> Iterator[bool]:
    """The right to replace or to remove a lease, which a single process has at a time.

    Yields False if another one has it, or if the lease is no longer there.
    """
    right = folder / f"{LEASE}.after-{lease.token}"
    if not create_record(right, replace(lease, token=secrets.token_hex(8))):
        if (age(right) or 0.0) > EXPIRES_S:  # of a process that was killed just then
            right.unlink(missing_ok=True)
        yield False
        return
    try:
        yield read_lease(folder) == lease
    finally:
        right.unlink(missing_ok=True)


class HeldLease:
    """The lease of this process on a folder."""

    def __init__(self, folder: Path, lease: Lease, predecessor: Lease | None = None) -> None:
        self.folder = folder
        self.lease = lease
        self.predecessor = predecessor  # that it was taken over from
        self.is_resting = threading.Event()

    def keep_alive(self, lost: Callable[[], None]) -> None:
        """Renew it from now on, in a thread; calls `lost` if another process has taken it."""

        def beat() -> None:
            while not self.is_resting.wait(RENEW_S):
                with suppress(OSError):  # a network that is cut for a minute
                    if not self.renew():
                        lost()
                        return

        threading.Thread(target=beat, daemon=True).start()

    def renew(self) -> bool:
        """Touch the lease; returns whether it is still that of this process."""
        if read_lease(self.folder) != self.lease:
            return False
        (self.folder / LEASE).touch()  # the server sets the time
        return True

    def rest(self) -> None:
        """Stop renewing it: it holds for EXPIRES_S seconds more."""
        self.is_resting.set()

    def end(self, others_go_on: bool = False) -> None:
        """Give it up; it stays as a note where others may go on from the attempt."""
        self.rest()
        with _change_of(self.folder, self.lease) as is_alone:
            if not is_alone:
                return
            if others_go_on:
                write_record(self.folder / LEASE, replace(self.lease, ended=True))
            else:
                (self.folder / LEASE).unlink(missing_ok=True)


def end_for_dead(folder: Path) -> None:
    """Give up the lease of a process of this machine that has ended, so that none waits for it."""
    lease = read_lease(folder)
    if lease is not None and lease.is_of_this_kernel and not lease.ended:
        HeldLease(folder, lease).end(others_go_on=True)


# --- the clock of the file server

_clocks: dict[int, tuple[float, float]] = {}  # of a file system -> its time, and ours since boot


def server_time(folder: Path) -> float:
    """Seconds since the epoch by the clock of the file server: never by that of this machine."""
    device = folder.stat().st_dev
    now = time.monotonic()
    known = _clocks.get(device)
    if known is None or now - known[1] > CLOCK_KEPT_S:
        known = (_time_of_new_file(folder), now)
        _clocks[device] = known
    return known[0] + now - known[1]


def _time_of_new_file(folder: Path) -> float:
    probe = hosts.temporary_name(folder / f"clock-{secrets.token_hex(4)}")
    probe.touch(exist_ok=False)
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def age(file: Path) -> float | None:
    """Seconds since a file was written or touched; None where that cannot be told."""
    try:
        with file.open("rb"):  # NFS asks the server again when a file is opened
            written = file.stat().st_mtime
        return server_time(file.parent) - written
    except OSError:
        return None
