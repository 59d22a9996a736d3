"""Files on disk as typed records: written atomically; a reader refuses what it does not know.

A record is sealed: the last field of its file is the sha256 of all the bytes before it, so that a
changed byte is never taken for a number.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import BenchError, cut
from bench.files.hosts import temporary_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from pydantic import TypeAdapter, ValidationError

    R = TypeVar("R", bound=DataclassInstance)
else:
    R = TypeVar("R")

NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
SEAL = "sha256"
MOST_BYTES = 2**30  # of a file that is read as a whole
MOST_WEIGHTS = 2**36  # bytes of a file with weights
CHANGED = "was changed after it was written"
_SEALED_END = re.compile(rb',?\n "sha256": "([0-9a-f]{64})"\n}\n\Z')
_SEAL_LENGTH = 100  # bytes from the end of a file in which its seal begins


def read_record(file: Path, record: type[R], remedy: str) -> R | None:
    """The record in a JSON file, or None if there is no such file.

    Raises BenchError, in one line, if the file holds anything else or was changed after it was
    written; `remedy` says which command makes it anew.
    """
    from pydantic import ValidationError

    text = read_bytes(file, remedy)
    if text is None:
        return None
    content, is_whole = _without_seal(text)
    try:
        # Without a detour over plain data: three times as fast, for runs of 10,000 cells.
        read = _adapter(record).validate_json(b"[%b]" % content, strict=True)[0]
    except ValidationError as problem:
        raise BenchError(f"{file} {_first_problem(problem)}; {remedy}") from None
    if not is_whole:
        raise BenchError(f"{file} {CHANGED}; {remedy}")
    return read


def read_bytes(file: Path, remedy: str) -> bytes | None:
    """The content of a file, or None if there is none. Raises BenchError if it cannot be read."""
    try:
        return read_regular(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise BenchError(f"{file} cannot be read ({problem.strerror}); {remedy}") from None


def read_regular(file: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file.

    Raises OSError for a folder, a pipe or a device, which may have no end, and for more than `most`
    bytes.
    """
    check_regular(file, most)
    return file.read_bytes()


def check_regular(file: Path, most: int) -> None:
    """Raise OSError, before it is opened, for what is no regular file of at most so many bytes."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "a folder, pipe or device, not a file", str(file))
    if status.st_size > most:
        reason = f"{status.st_size} bytes; at most {most} are read"
        raise OSError(errno.EINVAL, reason, str(file))  # no full disk


def _without_seal(text: bytes) -> tuple[bytes, bool]:
    """A sealed file without its seal, and whether the seal fits."""
    match = _SEALED_END.search(text, max(0, len(text) - _SEAL_LENGTH))
    if match is None:
        return text, False
    content = text[: match.start()]
    is_whole = hashlib.sha256(content).hexdigest().encode() == match[1]
    return content + b"\n}", is_whole


def is_sealed(file: Path) -> bool:
    """Whether a sealed file is there, byte by byte as it was written."""
    try:
        return _without_seal(read_regular(file))[1]
    except OSError:
        return False


def read_sealed(file: Path, remedy: str) -> dict[str, Any] | None:
    """The object in a sealed JSON file, or None if there is none.

    Raises BenchError if the file holds anything else or was changed after it was written.
    """
    text = read_bytes(file, remedy)
    if text is None:
        return None
    content = _parse(file, _without_seal(text)[0], remedy)
    if not isinstance(content, dict):
        raise BenchError(f"{file} holds no JSON object; {remedy}")
    if not _without_seal(text)[1]:
        has_seal = SEAL.encode() in text[-_SEAL_LENGTH:]
        version = "" if has_seal else ", or by another version"
        raise BenchError(f"{file} {CHANGED}{version}; {remedy}")
    return content


def parse_record(content: Any, record: type[R], name: str, remedy: str) -> R:
    """Plain data as a record.

    Raises BenchError, in one line, if a field is missing, is unknown or has the wrong type.
    """
    from pydantic import ValidationError

    try:
        return _adapter(record).validate_python([content])[0]
    except ValidationError as problem:
        raise BenchError(f"{name} {_first_problem(problem)}; {remedy}") from None


def _first_problem(problem: ValidationError) -> str:
    """What the first error says of a file, in words that follow its name."""
    errors = [error for error in problem.errors() if error["loc"][1:] != (SEAL,)]
    if not errors:
        return CHANGED
    first = errors[0]
    steps = first["loc"]  # the first one is the position in the tuple of one
    field = cut(".".join(str(step) for step in steps[1:]))
    is_empty = steps == (0,) and first["type"] == "missing"
    if not steps or is_empty:
        return "is not readable JSON"
    if not field:
        return "holds no JSON object"
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"has an unknown field {field!r}"
    if first["type"] == "missing":
        return f"lacks the field {field!r}"
    reason = " ".join(first["msg"].split())
    return f"has a bad value in the field {field!r} ({reason})"


def write_record(file: Path, record: DataclassInstance) -> None:
    """Write a record as sealed JSON, atomically.

    Raises ValueError where it could not be read again: a plug-in may fill fields with anything.
    """
    write_sealed(file, _checked_content(file, record))


def create_record(file: Path, record: DataclassInstance) -> bool:
    """Write a record unless there is a file of that name; returns whether it was written.

    Of several processes, on whatever machines, one alone gets True, and no reader meets a file
    that is not whole. Raises ValueError as `write_record` does.
    """
    temporary = temporary_name(file)
    text = _sealed_text(_checked_content(file, record))
    try:
        temporary.write_text(text, encoding="utf-8")
        flush(temporary)
        os.link(temporary, file)
    except FileExistsError:
        # The answer to a link that a network file system made may be lost, and the request sent
        # twice.
        return temporary.stat().st_nlink > 1
    except OSError as problem:
        if problem.errno not in NO_LINKS:
            raise
        return _create_in_place(file, text)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _create_in_place(file: Path, text: str) -> bool:
    """Write a text to a new file, where the file system has no links."""
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        return False
    flush(file)
    return True


def _checked_content(file: Path, record: DataclassInstance) -> dict[str, Any]:
    """A record as JSON holds it. Raises ValueError where it could not be read again."""
    from pydantic import ValidationError

    content = plain_data(record)
    text = json.dumps([content]).encode()
    try:
        _adapter(type(record)).validate_json(text, strict=True)
    except ValidationError as problem:
        raise ValueError(f"{file.name} {_first_problem(problem)}") from None
    return content


def plain_data(record: DataclassInstance) -> dict[str, Any]:
    """A record as JSON holds it."""
    [content] = _adapter(type(record)).dump_python((record,), mode="json")
    return dict(content)


@lru_cache(maxsize=64)
def _adapter(record: type[R]) -> TypeAdapter[tuple[R]]:
    """Reads and writes a tuple of one record: pydantic takes settings for a tuple, not for it."""
    from pydantic import ConfigDict, TypeAdapter

    # NaN stays NaN, so that `write_json` refuses it; by default it would become null.
    settings = ConfigDict(extra="forbid", ser_json_inf_nan="constants")
    tuple_of_one: Any = tuple.__class_getitem__((record,))
    return TypeAdapter(tuple_of_one, config=settings)


def read_json(file: Path, remedy: str = "remove it and run again") -> Any:
    """The content of a JSON file, or None if there is none. Raises BenchError if it is torn."""
    text = read_bytes(file, remedy)
    return None if text is None else _parse(file, text, remedy)


def _parse(file: Path, text: bytes, remedy: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BenchError(f"{file} is not readable JSON; {remedy}") from None


def write_text(file: Path, text: str) -> None:
    """Write a text under a temporary name, then rename it: readers see the old or the new one."""
    with replacing(file) as [temporary]:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def replacing(*files: Path) -> Iterator[list[Path]]:
    """A temporary name to write to for each of some files.

    What is written is flushed to disk, then takes the place of the files. Raises OSError, and
    leaves all files as they were and nothing behind, where that cannot be done.
    """
    if not all(file.name for file in files):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(files[0]))
    temporaries = [temporary_name(file) for file in files]
    try:
        yield temporaries
        for temporary in temporaries:
            flush(temporary)
        for temporary, file in zip(temporaries, files, strict=True):
            temporary.replace(file)
    except OSError as problem:
        if problem.filename is None:  # a full disk says nothing of the file
            problem.filename = str(files[0])
        raise
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def flush(file: Path) -> None:
    """Wait until a file, or the entries of a folder, have reached the disk."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_all(folder: Path) -> None:
    """Wait until all that was written to the file system of a folder has reached the disk.

    For many small files this takes a fraction of the time of flushing each.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def write_json(file: Path, content: Any) -> None:
    """Write JSON atomically. Raises ValueError for NaN and infinity."""
    write_text(file, f"{_as_text(content)}\n")


def write_sealed(file: Path, content: Mapping[str, Any]) -> None:
    """Write an object as JSON with its seal, atomically. Raises ValueError for NaN and infinity."""
    write_text(file, _sealed_text(content))


def _sealed_text(content: Mapping[str, Any]) -> str:
    text = _as_text(content).removesuffix("}").removesuffix("\n")
    comma = "," if content else ""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{text}{comma}\n "{SEAL}": "{digest}"\n}}\n'


def _as_text(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
