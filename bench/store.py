"""The folder of one suite: its paths, and the states and claims of its cells."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.cell_folder import CellFolder, State
from bench.errors import BenchError, cut
from bench.files import hosts, leases
from bench.names import file_name

KEY = re.compile(r"[0-9a-f]{20}")  # of a cell, a part or a study
RUNNING = ".running."  # and a process: the mark of a launch
LEFT_AFTER_S = 86400.0  # of another machine, when nothing was heard of its process meanwhile
PROBABILITIES = "probabilities.npz"  # the predictions of a classification cell
# Arrays beside a stored label map, where a suite keeps them.
CLASS_PROBABILITIES = "probabilities"  # K *S
REGION_PROBABILITIES = "region_probabilities"  # R *S, of a method that is trained on regions


class Store:
    """The folder of one suite: cells, parts, splits, studies, plan.json, board.json and report.

    `plugins` are the Python files that the user named. Nothing else that the folder names is
    imported on its behalf: it may come from anywhere.
    """

    def __init__(self, out: Path, plugins: Sequence[Path] = ()) -> None:
        self.out = out
        self.plugins = list(plugins)
        self._cells = out / "cells"
        self._folders: dict[str, CellFolder] = {}  # as asked for: a command asks several times
        self._is_launched = False

    def cell(self, key: str) -> CellFolder:
        """The folder of a cell, whether it exists or not.

        Raises BenchError for what is no key, so that none leads out of the folder.
        """
        folder = self._folders.get(key)
        if folder is None:
            if not KEY.fullmatch(key):
                raise BenchError(f"cell {cut(key)} given; expected a key of 20 hex characters")
            folder = self._folders[key] = CellFolder(self._cells / key)
        return folder

    def split(self, dataset: str, test_cases: int | None) -> Path:
        """The file with the split of a data set; a shortened test list has a file of its own."""
        shortened = f"-first{test_cases}" if test_cases else ""
        return self.out / "splits" / f"{file_name(dataset)}{shortened}.json"

    @property
    def cache(self) -> Path:
        """The folder of decoded images, shared with the suites beside this one."""
        return self.out.parent / "cache"

    def open(self) -> None:
        """Create the folder. Raises BenchError if it cannot be written."""
        try:
            self._cells.mkdir(parents=True, exist_ok=True)
            probe = hosts.temporary_name(self.out / "writable")
            probe.touch()
            probe.unlink()
        except OSError as problem:
            raise BenchError(
                f"--out {self.out} given; cannot write there ({problem.strerror}); "
                "give a writable folder"
            ) from None

    @contextmanager
    def launched(self) -> Iterator[None]:
        """Marks a launch while it runs, and removes what killed ones left behind.

        Cells are looked through only where a launch did not come to its end: there are many. A
        launch within a launch is part of it.
        """
        if self._is_launched:
            yield
            return
        swept = sweep(self.out, self.out / "report", self.out / "splits", self.out / "parts")
        if any(file.name.startswith(RUNNING) for file in swept):
            folders = [self.cell(key).path for key in self.cell_keys()]
            sweep(*folders, *(self.out / "studies").glob("*/"), self.out / "studies")
        mark = hosts.temporary_name(self.out / "running")
        mark.touch()
        self._is_launched = True
        try:
            yield
        finally:
            self._is_launched = False
            mark.unlink(missing_ok=True)

    def state(self, key: str) -> State:
        """Whether a cell is done, failed, running or missing."""
        folder = self.cell(key)
        if folder.has_result:
            return "done"
        if folder.has_failed:
            return "failed"
        return "running" if is_claimed(folder.path) else "missing"

    def cell_keys(self) -> list[str]:
        """The keys of all cells that have a folder, sorted."""
        if not self._cells.is_dir():
            return []
        entries = os.scandir(self._cells)
        return sorted(entry.name for entry in entries if KEY.fullmatch(entry.name))

    def has_results(self, dataset: str) -> bool:
        """Whether any finished cell was trained on a data set."""
        done = [self.cell(key) for key in self.cell_keys() if self.state(key) == "done"]
        return any(folder.stated_key().get("dataset") == dataset for folder in done)


def sweep(*folders: Path) -> list[Path]:
    """Remove files that processes were writing when they were killed; returns them.

    Such a file is named by `bench.files.hosts.temporary_name`.
    """
    left: list[Path] = []
    for folder in folders:
        for file in folder.glob(".*"):
            name = hosts.TEMPORARY.fullmatch(file.name)
            if name and file.is_file() and _is_left(file, name[1], int(name[2])):
                file.unlink(missing_ok=True)
                left.append(file)
    return left


def _is_left(file: Path, processes: str | None, process: int) -> bool:
    """Whether the process that wrote a temporary file is gone."""
    if processes is None or processes == hosts.processes_id():
        return not _runs(process)
    age = leases.age(file)
    return age is not None and age > LEFT_AFTER_S


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # of another user
    return True


def refuse_links(out: Path, depth: int | None = None) -> None:
    """Raise BenchError where a file of a result folder is a link to outside of it, or no file.

    What reads a folder from elsewhere must neither read nor write anything else. With a `depth`,
    only so many levels are looked at: 3 are the files of cells, of which there are many.
    """
    try:
        root = out.resolve()
    except RuntimeError:  # before Python 3.13, of a link to itself
        raise BenchError(f"{out} given; it is a link to itself; give a folder") from None
    level = 0
    folders = [str(root)]
    while folders and (depth is None or level < depth):
        folders = [inner for folder in folders for inner in _checked_folders(folder, root)]
        level += 1


def _checked_folders(folder: str, root: Path) -> list[str]:
    """The folders in a folder whose other entries are all files, or links to inside of a root."""
    folders: list[str] = []
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.path)
        elif entry.is_symlink():
            _refuse_outside(Path(entry.path), root)
        elif not entry.is_file(follow_symlinks=False):
            raise BenchError(
                f"{entry.path} is neither a file nor a folder; remove it and try again"
            )
    return folders


def _refuse_outside(link: Path, root: Path) -> None:
    try:
        is_inside = link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # a loop, or a link to nothing
        is_inside = False
    if not is_inside:
        raise BenchError(
            f"{link} is a link that leads out of {root}; expected the file itself; "
            "put it in the place of the link"
        )


@contextmanager
def claim(folder: Path) -> Iterator[bool]:
    """Claim a cell on this machine; yields False if another process holds it.

    The claim is a lock on an open file, which the kernel releases however its process ends, so
    no claim goes stale. File systems of a network need not show such a lock to other machines:
    these see a lease, see `bench.files.leases`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Without a buffer, which on a full disk would be written again when the file is closed.
    with (folder / "claim").open("ab", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        yield True


def disclaim(folder: Path) -> None:
    """Say that the process which locked a cell does not hold it: another machine does."""
    (folder / "claim").write_text("0")


def claimed_by(folder: Path) -> int | None:
    """The process that claimed a cell last, whether it runs or not; None if that is not known."""
    try:
        return int((folder / "claim").read_text())
    except (OSError, ValueError):
        return None


def is_claimed(folder: Path) -> bool:
    """Whether a running process holds a cell, on this machine or another one."""
    return _is_locked(folder) or leases.is_live(folder)


def _is_locked(folder: Path) -> bool:
    try:
        with (folder / "claim").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    return False
