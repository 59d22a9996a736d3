"""Unpacks archives from elsewhere: nothing leaves the folder, no links, no bombs, nothing twice."""

from __future__ import annotations

import errno
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.errors import BenchError, shown

BLOCK = 2**20  # bytes
MOST_FILES = 1_000_000
SMALL = 2**30  # bytes: so much may come out of any archive,
MOST_TIMES = 200  # and so many times its own size out of a large one
DEBRIS = re.compile(r"(^|/)(__MACOSX(/|$)|\._[^/]*$|\.DS_Store$|Thumbs\.db$|desktop\.ini$)")


@dataclass(frozen=True, slots=True)
class _Member:
    """One entry of an archive."""

    name: str  # as the archive has it
    size: int
    is_folder: bool
    is_file: bool
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path, keep: Sequence[str] = ()) -> list[str]:
    """Unpack an archive into an empty folder and return the names directly in it.

    With `keep`, only what lies under one of these paths. Raises BenchError, which names the
    archive, where it is damaged or holds what no data set needs: paths that lead out of the
    folder, links, devices, passwords, a name twice, far more bytes than it has itself.
    """
    most = max(SMALL, MOST_TIMES * archive.stat().st_size)
    most = min(most, shutil.disk_usage(folder).free)
    taken: set[str] = set()
    written = 0
    with _naming_archive(archive), _opened(archive) as members:
        for member in members:
            name = _safe_name(archive, member.name)
            if not name or DEBRIS.search(name) or not _is_kept(name, keep):
                continue
            target = folder / name
            if member.is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            _refuse_special(archive, member)
            if name in taken or len(taken) >= MOST_FILES:
                raise _odd(archive, f"{shown(member.name)} again, or too many files")
            taken.add(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            written += _write(archive, member, target, most - written)
    if not taken:
        wanted = ", ".join(keep) or "files"
        raise BenchError(
            f"{archive}: it holds none of {wanted}; expected the archive of this data set; "
            "download it again"
        )
    return sorted(entry.name for entry in folder.iterdir())


@contextmanager
def _naming_archive(archive: Path) -> Iterator[None]:
    """Turn what the decoders raise on damaged archives into a BenchError."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, ValueError) as problem:
        raise _damaged(archive, str(problem)) from None
    except (NotImplementedError, RuntimeError) as problem:  # another compression, a password
        raise _odd(archive, str(problem)) from None
    except OSError as problem:
        if problem.errno is None:  # gzip: no file of its kind
            raise _damaged(archive, str(problem)) from None
        cure = "unpack it by hand"
        if problem.errno == errno.ENOSPC:
            cure = "free some space, or give another folder with --data"
        raise BenchError(f"{archive}: cannot be unpacked ({problem.strerror}); {cure}") from None


def _damaged(archive: Path, reason: str) -> BenchError:
    return BenchError(f"{archive}: damaged ({reason}); expected a whole archive; download it again")


def _odd(archive: Path, reason: str) -> BenchError:
    return BenchError(
        f"{archive}: {reason}; nothing was unpacked; expected plain files and folders; "
        "unpack it by hand if you trust it"
    )


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[_Member]]:
    """The entries of a zip or tar file, in its order."""
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            yield (_zip_member(packed, entry) for entry in packed.infolist())
    else:
        with tarfile.open(archive) as packed_tar:
            yield (_tar_member(packed_tar, entry) for entry in packed_tar)


def _zip_member(packed: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    is_file = kind in (0, stat.S_IFREG)  # 0: made where files have no such modes
    return _Member(
        entry.filename, entry.file_size, entry.is_dir(), is_file, lambda: packed.open(entry)
    )


def _tar_member(packed: tarfile.TarFile, entry: tarfile.TarInfo) -> _Member:
    def open_() -> IO[bytes]:
        stream = packed.extractfile(entry)
        assert stream is not None  # it is a regular file
        return stream

    return _Member(entry.name, entry.size, entry.isdir(), entry.isreg(), open_)


def _safe_name(archive: Path, name: str) -> str:
    """A path inside the folder, with / between; empty for the folder itself.

    Raises BenchError on a path that leads elsewhere.
    """
    path = name.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    is_odd = path.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", path)
    if is_odd or not path.isprintable():
        raise _odd(archive, f"a path {shown(name)} that leads out of the folder")
    return "/".join(parts)


def _is_kept(name: str, keep: Sequence[str]) -> bool:
    if not keep:
        return True
    return any(name == path or name.startswith(f"{path}/") for path in keep)


def _refuse_special(archive: Path, member: _Member) -> None:
    if not member.is_file:
        raise _odd(archive, f"{shown(member.name)} is a link or a device")


def _write(archive: Path, member: _Member, target: Path, most: int) -> int:
    """Write one file, of `most` bytes at most, and return how many it has."""
    written = 0
    with member.open() as stream, target.open("xb") as file:
        while block := stream.read(BLOCK):
            written += len(block)
            if written > min(most, member.size):
                raise _odd(archive, f"{shown(member.name)} unpacks to more than fits here")
            file.write(block)
    if written != member.size:
        raise _damaged(archive, f"{member.name} ends early")
    return written
