"""Attempts at a cell: each is made in a folder of its own, and the first whole one is put in place.

An attempt lies in OUT/.try-NAME/KEY, so deep below OUT as the cell itself: paths in cell.json hold
in both. Who holds the lease of the cell makes it. A holder that is taken for dead, and is not, can
do no harm: its successor works elsewhere, and of two that end, the one that creates `settled` first
moves its files into the folder of the cell; the other one is thrown away. A process that is killed
while it moves them is completed by the next one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench import store
from bench.cell_folder import SETTLED, CellFolder
from bench.errors import BenchError
from bench.files import hosts, leases
from bench.files.leases import HeldLease, Lease
from bench.files.records import create_record, flush, read_record

FINISHED, BUSY = 0, 3  # exit codes of a worker; see bench.worker.main
TRY = ".try-"
SLOW_S = 90.0  # until every machine sees what another one has moved, on a slow file system
LOOK_EVERY_S = 1.0
MARKS = ("result.json", "failure.json")  # moved last: they say that all others are in place
STAY = ("claim", "cell.json")  # files of an attempt that are not moved


@dataclass(frozen=True)
class Settled:
    """settled: the attempt whose files are those of the cell."""

    attempt: str  # "" while an older attempt is being removed
    kernel: str
    entries: Sequence[str]  # what is moved, in this order
    host: str = ""  # where the attempt was made


def run(
    cell: CellFolder, train: Callable[[Path], None], lost: Callable[[], None] = lambda: None
) -> int:
    """Make an attempt at a cell and put it in place; returns the exit code of a worker.

    `train` is given the folder of the attempt. `lost` is called in another thread if another
    machine takes the cell over meanwhile.
    """
    with store.claim(cell.path) as is_alone:
        name = f"{TRY}{secrets.token_hex(6)}"
        held = leases.take(cell.path, name) if is_alone else None
        if held is None:
            if is_alone:
                store.disclaim(cell.path)
            return BUSY
        try:
            return _run_held(cell, held, train, lost)
        finally:
            with suppress(OSError):  # it ends with this process, or when it expires
                held.end(others_go_on=_folder(cell, name).path.exists())


def _run_held(
    cell: CellFolder, held: HeldLease, train: Callable[[Path], None], lost: Callable[[], None]
) -> int:
    held.keep_alive(lost)
    if _is_settled(cell):
        _drop(cell, held.predecessor)
        return FINISHED
    attempt = _begin(cell, held)
    code = _code_of(train, attempt.path)
    held.rest()
    if is_over(attempt):
        _settle(cell, attempt)
    return code


def _code_of(train: Callable[[Path], None], path: Path) -> int:
    try:
        train(path)
    except SystemExit as ended:
        return int(ended.code or 0)
    return FINISHED


def is_over(folder: CellFolder) -> bool:
    """Whether a cell, or an attempt at one, has ended for good."""
    return folder.has_result or folder.has_failed


def latest(cell: CellFolder) -> CellFolder:
    """The attempt at a cell that runs or ran last and is not in place; else the cell itself."""
    lease = leases.read_lease(cell.path)
    if lease is None:
        return cell
    newest = _attempt_named(cell, lease.attempt) or _attempt_named(cell, lease.before)
    return newest or cell


def _attempt_named(cell: CellFolder, name: str) -> CellFolder | None:
    """An attempt at a cell, if its folder is there."""
    if not name.startswith(TRY) or not _folder(cell, name).path.is_dir():
        return None
    return _folder(cell, name)


def _folder(cell: CellFolder, name: str) -> CellFolder:
    return CellFolder(cell.path.parent.parent / Path(name).name / cell.key)


def host_of(cell: CellFolder) -> str:
    """The machine whose attempt is in place; "" where no file tells that."""
    try:
        settled = read_record(cell.path / SETTLED, Settled, "remove it")
    except BenchError:  # of another version
        return ""
    return "" if settled is None else settled.host


# --- the begin of an attempt


def _begin(cell: CellFolder, held: HeldLease) -> CellFolder:
    """The folder of a new attempt, with what it goes on from; leaves no older one in the cell."""
    attempt = _folder(cell, held.lease.attempt)
    attempt.make()
    if (cell.path / "cell.json").exists():
        shutil.copyfile(cell.path / "cell.json", attempt.path / "cell.json")
    source = _attempt_named(cell, held.lease.before) or cell
    if source.snapshot.exists():
        _go_on_from(source, attempt)
    _make_room(cell)
    cell.snapshot.unlink(missing_ok=True)
    _drop(cell, held.predecessor)
    return attempt


def _drop(cell: CellFolder, lease: Lease | None) -> None:
    """Remove the attempt under a lease whose process is known to have ended."""
    if lease is not None and (lease.ended or lease.is_of_this_kernel):
        attempt = _attempt_named(cell, lease.attempt)
        if attempt is not None:
            _remove(attempt)


def _go_on_from(source: CellFolder, attempt: CellFolder) -> None:
    """Give an attempt the states of another one, whose files stay as they are.

    A state is never changed in place, so that two attempts may share it.
    """
    for state in (source.snapshot, *source.checkpoints.glob("*/*.snapshot")):
        target = attempt.path / state.relative_to(source.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # its own process has just replaced it
            _link(state, target)
    if source.log.exists():
        shutil.copyfile(source.log, attempt.log)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _make_room(cell: CellFolder) -> None:
    """Remove what an attempt left in the folder of a cell that is to run again.

    `settled` is there meanwhile, so that no attempt is put in place.
    """
    settled = cell.path / SETTLED
    names = {entry.name for entry in os.scandir(cell.path)}
    left = [name for name in names - {*STAY, leases.LEASE} if not name.startswith(".")]
    if not left and not settled.exists():
        return
    create_record(settled, Settled("", hosts.kernel_id(), ()))
    cell.clear()
    settled.unlink(missing_ok=True)


# --- the end of an attempt


def _settle(cell: CellFolder, attempt: CellFolder) -> None:
    """Put an attempt that has ended in place, unless another one was first; it is gone then."""
    attempt.snapshot.unlink(missing_ok=True)
    attempt.remove_links()
    names = [entry.name for entry in os.scandir(attempt.path) if entry.name not in STAY]
    entries = [name for name in names if not name.startswith(".")]
    entries.sort(key=lambda name: (name in MARKS, name))
    record = Settled(attempt.path.parent.name, hosts.kernel_id(), entries, hosts.host_name())
    if create_record(cell.path / SETTLED, record):
        _move(attempt, cell, entries)
    _remove(attempt)


def _move(attempt: CellFolder, cell: CellFolder, entries: Sequence[str]) -> None:
    """Move the entries of an attempt into the folder of its cell, as far as that is not done."""
    for name in entries:
        if name in MARKS:
            flush(cell.path)
        with suppress(FileNotFoundError):
            (attempt.path / name).rename(cell.path / name)


def _is_settled(cell: CellFolder) -> bool:
    """Whether a cell has its result, or its failure where nothing says that it is to run again.

    Completes what a process was killed in. What another machine has moved may not be seen here at
    once: without a wait, its files would be taken for those of a broken attempt.
    """
    try:
        settled = read_record(cell.path / SETTLED, Settled, "remove it")
    except BenchError:
        settled = None
    if cell.has_result:
        return True
    if settled is None or cell.has_failed:
        return False
    attempt = _folder(cell, settled.attempt or f"{TRY}none")
    until = _seen_by_all_in(cell, settled)
    while True:
        if is_over(attempt):
            _move(attempt, cell, settled.entries)
            _remove(attempt)
        if is_over(cell):
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(LOOK_EVERY_S)


def _seen_by_all_in(cell: CellFolder, settled: Settled) -> float:
    """When what `settled` tells of is certainly seen here, on the clock of this process."""
    now = time.monotonic()
    age = leases.age(cell.path / SETTLED)
    if settled.kernel == hosts.kernel_id() or age is None:
        return now
    return now + SLOW_S - age


def gather(cell: CellFolder) -> None:
    """Copy what tells why an attempt came to nothing into the cell, and let others go on from it.

    That is its log, and its own words if the machine was short of something.

    To be called where its process is known to have ended.
    """
    attempt = latest(cell)
    if attempt.path == cell.path or store.is_claimed(cell.path):
        return
    attempt.cap_log()
    for name in (attempt.log.name, "interrupted.json"):
        with suppress(FileNotFoundError):
            shutil.copyfile(attempt.path / name, cell.path / name)
    leases.end_for_dead(cell.path)


def forget(cell: CellFolder) -> None:
    """Remove an attempt that came to nothing, and all that others could go on from."""
    attempt = latest(cell)
    if attempt.path != cell.path and not store.is_claimed(cell.path):
        _remove(attempt)
        (cell.path / leases.LEASE).unlink(missing_ok=True)
    cell.snapshot.unlink(missing_ok=True)


def _remove(attempt: CellFolder) -> None:
    shutil.rmtree(attempt.path.parent, ignore_errors=True)


def sweep(out: Path) -> None:
    """Remove attempts that no cell goes on from and whose process is gone."""
    for folder in out.glob(f"{TRY}*"):
        for path in folder.glob("*"):
            if _is_left(out, CellFolder(path)):
                shutil.rmtree(folder, ignore_errors=True)


def _is_left(out: Path, attempt: CellFolder) -> bool:
    cell = CellFolder(out / "cells" / attempt.key)
    lease = leases.read_lease(cell.path)
    if lease is not None and attempt.path.parent.name in (lease.attempt, lease.before):
        return False
    if store.is_claimed(attempt.path):
        return False
    age = leases.age(attempt.path / "claim")
    return age is not None and age > store.LEFT_AFTER_S
