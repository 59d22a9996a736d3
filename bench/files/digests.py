"""What files held when they were written: a damaged file is noticed wherever it is used.

A digest keeps the size and the time of its file. Where both still agree the file counts as whole;
only otherwise is it hashed again, so that checking 10,000 cells takes no second.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.errors import BenchError, cut
from bench.files.records import (
    CHANGED,
    MOST_WEIGHTS,
    check_regular,
    read_record,
    write_record,
)

DIGESTS = "digests.json"
BLOCK = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What a file held when it was written."""

    sha256: str
    size: int  # bytes
    mtime_ns: int


@dataclass(frozen=True)
class Digests:
    """digests.json: the files of a folder by their path in it; written when all are complete."""

    files: Mapping[str, FileDigest]


def digest_of(file: Path, sha256: str | None = None) -> FileDigest:
    """The digest of a file; `sha256` where it is known from writing it."""
    status = file.stat()
    return FileDigest(sha256 or _sha256(file), status.st_size, status.st_mtime_ns)


def _sha256(file: Path) -> str:
    total = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            total.update(block)
    return total.hexdigest()


def weights_hash(file: Path) -> str:
    """sha256 of a file of weights. Raises BenchError if it cannot be read."""
    try:
        check_regular(file, MOST_WEIGHTS)
        return _sha256(file)
    except OSError as problem:
        raise BenchError(
            f"weights {file} given; {problem.strerror}; give a readable file"
        ) from None


def is_whole(file: Path | str, digest: FileDigest | None, deep: bool = False) -> bool:
    """Whether a file is there and holds what it held when it was written.

    A file of another time, such as a copy, is hashed, and gets the recorded time if it is whole:
    the next check is quick again. `deep` hashes in any case.
    """
    if digest is None:
        return False
    try:
        status = os.stat(file)  # noqa: PTH116  # a path for each of many files takes longer
        if status.st_size != digest.size:
            return False
        is_untouched = status.st_mtime_ns == digest.mtime_ns
        if is_untouched and not deep:
            return True
        if _sha256(Path(file)) != digest.sha256:
            return False
    except (OSError, ValueError):  # ValueError: a null character in the name
        return False
    if not is_untouched:
        with suppress(OSError):  # a folder that may only be read is hashed each time
            os.utime(file, ns=(status.st_atime_ns, digest.mtime_ns))
    return True


def is_whole_in(folder: Path, name: str, digest: FileDigest | None, deep: bool = False) -> bool:
    """Whether the file of a name in a folder is whole; one that leads out of it never is."""
    return not _leads_out(name) and is_whole(f"{folder}/{name}", digest, deep)


def _leads_out(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/")


def check(file: Path, digest: FileDigest | None, remedy: str) -> Path:
    """The file, if it is whole. Raises BenchError, in one line with the remedy, if it is not."""
    if is_whole(file, digest):
        return file
    problem = CHANGED if file.exists() else "is gone"
    raise BenchError(f"{file} {problem}; {remedy}")


def digests_of(folder: Path, files: Iterable[Path]) -> Digests:
    """The digests of some files in a folder."""
    named = {file.relative_to(folder).as_posix(): digest_of(file) for file in sorted(files)}
    return Digests(named)


def write_digests(folder: Path, digests: Digests) -> None:
    """Write digests.json of a folder."""
    write_record(folder / DIGESTS, digests)


def read_digests(folder: Path, remedy: str) -> Digests:
    """digests.json of a folder. Raises BenchError if there is none, or if it was changed."""
    digests = read_record(folder / DIGESTS, Digests, remedy)
    if digests is None:
        raise BenchError(f"{folder} holds no {DIGESTS}; {remedy}")
    return digests


class FolderDigests:
    """The files of a folder beside their digests; `remedy` says what makes damaged ones anew."""

    def __init__(self, folder: Path, remedy: str) -> None:
        self.folder = folder
        self.remedy = remedy

    def read(self) -> Mapping[str, FileDigest]:
        """Digests by path in the folder. Raises BenchError if they are gone or were changed."""
        return self._digests

    @cached_property
    def _digests(self) -> Mapping[str, FileDigest]:
        digests = read_digests(self.folder, self.remedy).files
        for name in digests:
            if _leads_out(name):
                raise BenchError(f"{self.folder / DIGESTS} names {cut(name)}, a file elsewhere")
        return digests

    def check(self, file: Path) -> Path:
        """A file, if it is as it was written. Raises BenchError if it is not."""
        return check(file, self.read().get(self._name(file)), self.remedy)

    def changed(self, part: Path | None = None, deep: bool = False) -> list[Path]:
        """The files that are gone or were changed since; below `part`, also those added since."""
        digests = self.read()
        names = set(digests)
        if part is not None:
            prefix = f"{self._name(part)}/"
            names = {name for name in names if name.startswith(prefix)}
            names |= {self._name(file) for file in part.rglob("*") if file.is_file()}
        changed = []
        for name in sorted(names):
            if not is_whole(f"{self.folder}/{name}", digests.get(name), deep):
                changed.append(self.folder / name)
        return changed

    def _name(self, file: Path) -> str:
        return file.relative_to(self.folder).as_posix()
