"""Downloads one file over HTTP: resumes, tries again, and never takes a web page for data."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.errors import BenchError, cut

BLOCK = 2**20  # bytes
TIMEOUT_S = 60.0  # without a byte
WAITS_S = (1.0, 4.0, 15.0, 60.0)  # before each further try
BUSY = (408, 425, 429, 500, 502, 503, 504)  # answers after which another try may help
SPARE = 2**26  # bytes that stay free on the disk
MAGIC = {
    ".zip": (b"PK\x03\x04", b"PK\x05\x06"),
    ".gz": (b"\x1f\x8b",),
    ".tgz": (b"\x1f\x8b",),
}

Progress = Callable[[int, int | None], None]  # (bytes that are here, bytes in all if known)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be downloaded, and what is known of it."""

    address: str
    page: str  # for people
    size: int | None = None
    sha256: str | None = None  # or how it begins


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says about the file that it sends, as far as resuming needs it."""

    start: int  # the first byte that it sends
    total: int | None
    tag: str  # changes when the file does; empty where the server has none


@dataclass(slots=True)
class Part:
    """A file that is not complete yet, and which version of the file at the address it is of."""

    path: Path
    address: str
    note: Path = field(init=False)

    def __post_init__(self) -> None:
        self.note = self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def tag(self) -> str:
        """The tag of the version that it is of; empty where that is not known."""
        try:
            told = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ""
        is_same = isinstance(told, dict) and told.get("address") == self.address
        return str(told.get("tag", "")) if is_same else ""

    def keep_tag(self, tag: str) -> None:
        self.note.write_text(json.dumps({"address": self.address, "tag": tag}), encoding="utf-8")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


class _TryAgainError(Exception):
    """A try that ended early for a reason that may pass."""


def download(
    wanted: Wanted, target: Path, show: Progress, wait: Callable[[float], None] = time.sleep
) -> str:
    """Download a file and return its sha256; `target` appears when it is whole and checked.

    What was received stays in TARGET.part, and the next call goes on there. Raises BenchError.
    """
    part = Part(target.with_name(f"{target.name}.part"), wanted.address)
    for pause in (*WAITS_S, None):
        try:
            _receive(wanted, part, show)
            break
        except _TryAgainError as problem:
            if pause is None:
                raise BenchError(
                    f"{wanted.address}: {problem}, {len(WAITS_S) + 1} times; {_kept(part)}; "
                    "run the same command to go on"
                ) from None
            wait(pause)
    sha256 = check_file(wanted, part.path, part.remove)
    part.path.replace(target)
    part.remove()
    return sha256


def check_file(wanted: Wanted, path: Path, discard: Callable[[], None]) -> str:
    """The sha256 of a file that must be the wanted one; otherwise `discard` it, and BenchError."""
    size = path.stat().st_size
    if wanted.size is not None and size != wanted.size:
        discard()
        raise BenchError(
            f"{wanted.address}: {size} bytes; expected {wanted.size}; the file there was changed: "
            f"see {wanted.page}"
        )
    _refuse_other_kind(wanted, path, discard)
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    if wanted.sha256 is not None and not sha256.startswith(wanted.sha256):
        discard()
        raise BenchError(
            f"{wanted.address}: sha256 {sha256}; expected {wanted.sha256}; nothing was unpacked; "
            f"download it again, and if that does not help, see {wanted.page}"
        )
    return sha256


def _refuse_other_kind(wanted: Wanted, path: Path, discard: Callable[[], None]) -> None:
    """Raise BenchError where an archive does not begin as one."""
    name = wanted.address.partition("?")[0].lower()
    magic = MAGIC.get(f".{name.rpartition('.')[2]}")
    if magic is None:
        return
    with path.open("rb") as stream:
        start = stream.read(512)
    if not start.startswith(magic):
        discard()
        is_page = start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml"))
        given = "a web page" if is_page else "something else"
        raise _no_data(wanted, given)


def _no_data(wanted: Wanted, given: str) -> BenchError:
    kind = wanted.address.partition("?")[0].rpartition(".")[2]
    return BenchError(
        f"{wanted.address}: {given} came instead of a {kind} file; the server may ask to log in or "
        f"to accept its terms first; open {wanted.page}, and put the file that it gives into the "
        "folder of the data set"
    )


def _receive(wanted: Wanted, part: Part, show: Progress) -> None:
    """Receive what is missing of a file. Raises _TryAgainError where the connection ends early."""
    if wanted.size is not None and part.size == wanted.size:
        return
    try:
        with _opened(wanted, part) as response:
            _store(wanted, part, response, show)
    except urllib.error.HTTPError as problem:
        _handle_refusal(wanted, part, problem)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as odd:
        reason = getattr(odd, "reason", None) or odd
        raise _TryAgainError(f"no connection ({cut(str(reason)) or type(odd).__name__})") from None
    except OSError as problem:
        if problem.errno == errno.ENOSPC:
            raise _disk_full(part) from None
        raise


def _opened(wanted: Wanted, part: Part) -> Any:
    """The response of a server that was asked for the bytes that are missing."""
    request = urllib.request.Request(wanted.address, headers={"User-Agent": "scarcebench"})
    tag = part.tag()
    if part.size and tag:
        request.add_header("Range", f"bytes={part.size}-")
        request.add_header("If-Range", tag)
    return urllib.request.urlopen(request, timeout=TIMEOUT_S)


def _handle_refusal(wanted: Wanted, part: Part, problem: urllib.error.HTTPError) -> None:
    """Raise what an answer that is no success means: try again, or an error for the user.

    Nothing is raised where it means that no byte is missing.
    """
    if problem.code == 416:  # there is no such byte
        if part.size and problem.headers.get("Content-Range") == f"bytes */{part.size}":
            return  # as all are here: an earlier call ended before it could check them
        part.remove()
        raise _TryAgainError("the file there has become shorter")
    if problem.code in BUSY:
        raise _TryAgainError(f"the server answered {problem.code}")
    reason = f"{problem.code} {problem.reason}"
    if problem.code in (401, 403):
        raise _no_data(wanted, f"'{reason}'")
    raise BenchError(
        f"{wanted.address}: the server answered '{reason}'; the file may have moved; look for it "
        f"on {wanted.page}, and put it into the folder of the data set"
    )


def _answer_of(response: Any, part: Part) -> Answer:
    """What a response says of itself. Raises _TryAgainError, from the start, if it is not clear."""
    headers = response.headers
    tag = headers.get("ETag") or headers.get("Last-Modified") or ""
    if tag.startswith("W/"):  # a weak tag does not promise equal bytes
        tag = headers.get("Last-Modified") or ""
    length = headers.get("Content-Length") or ""
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range") or "")
        if match is None:
            part.remove()
            raise _TryAgainError("the server does not say which bytes it sends")
        return Answer(int(match[1]), int(match[2]), tag)
    total = int(length) if length.isdecimal() else None
    return Answer(0, total, tag)


def _store(wanted: Wanted, part: Part, response: Any, show: Progress) -> None:
    """Write what a response holds to the part. Raises _TryAgainError where bytes are missing."""
    answer = _answer_of(response, part)
    _refuse_page(wanted, response)
    if answer.start not in (0, part.size):
        part.remove()
        raise _TryAgainError("the server sends other bytes than it was asked for")
    if wanted.size is not None and answer.total not in (None, wanted.size):
        part.remove()
        raise BenchError(
            f"{wanted.address}: {answer.total} bytes; expected {wanted.size}; the file there was "
            f"changed: see {wanted.page}"
        )
    _refuse_full_disk(part, answer)
    part.keep_tag(answer.tag)
    mode: Literal["ab", "wb"] = "ab" if answer.start else "wb"
    with part.path.open(mode) as file:
        received = answer.start
        show(received, answer.total)
        while block := response.read(BLOCK):
            file.write(block)
            received += len(block)
            show(received, answer.total)
    if answer.total is not None and received != answer.total:
        raise _TryAgainError(f"the connection ended after {received} of {answer.total} bytes")


def _refuse_page(wanted: Wanted, response: Any) -> None:
    """Raise BenchError where a server shows a page, such as one to log in, in place of a file."""
    is_page = response.headers.get_content_type() in ("text/html", "application/xhtml+xml")
    if is_page and not wanted.address.lower().endswith((".html", ".htm")):
        raise _no_data(wanted, "a web page")


def _refuse_full_disk(part: Part, answer: Answer) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if answer.total is not None and answer.total - answer.start + SPARE > free:
        raise BenchError(
            f"{part.path.parent}: {free} bytes are free; expected room for "
            f"{answer.total - answer.start} more; free some, or give another folder with --data"
        )


def _disk_full(part: Part) -> BenchError:
    return BenchError(
        f"{part.path.parent}: the disk is full; {_kept(part)}; free some space and run the same "
        "command to go on"
    )


def _kept(part: Part) -> str:
    return f"{part.size} bytes are kept"
