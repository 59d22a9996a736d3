"""What was downloaded for a data set: the digest of each file, and what came out of it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.errors import BenchError

FOLDER = ".downloads"  # in the data folder; it outlives the folder of the data set


@dataclass(frozen=True, slots=True)
class Downloaded:
    """One file of a data set, as it came the first time."""

    address: str
    size: int
    sha256: str
    entries: tuple[str, ...]  # what it put into the folder of the data set


def folder_of(data: Path, name: str) -> Path:
    """Where parts and archives of a data set lie until they are unpacked."""
    return data / FOLDER / name


def read_record(folder: Path) -> dict[str, Downloaded]:
    """The files that were downloaded before, by name. Raises BenchError on a damaged record."""
    path = folder / "record.json"
    if not path.is_file():
        return {}
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        record = {}
        for name, entry in given.items():
            record[name] = Downloaded(**{**entry, "entries": tuple(entry["entries"])})
        return record
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BenchError(
            f"{path}: not a record of downloads; remove it to have the digests of the next "
            "download taken as right"
        ) from None


def write_record(folder: Path, record: dict[str, Downloaded]) -> None:
    """Write the record whole."""
    entries = {name: asdict(entry) for name, entry in record.items()}
    part = folder / f"record.json.{os.getpid()}"
    part.write_text(json.dumps(entries, indent=1), encoding="utf-8")
    part.replace(folder / "record.json")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder against a second download. Raises BenchError where another has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as problem:
        raise BenchError(
            f"cannot write to {folder} ({problem.strerror}); give a writable folder with --data"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise BenchError(
            f"{folder}: another download writes there; wait for it, or stop it first"
        ) from None
    else:
        yield
    finally:
        os.close(handle)
