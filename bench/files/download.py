"""Fetches a file from the network, whole and as its publisher names its hash, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.files.records import replacing

TIMEOUT_S = 20.0  # without an answer
BLOCK = 2**20
LINKED_HASH = "X-Linked-ETag"  # of a file that an address leads on to, at Hugging Face


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and keeps the hash that the first answer states."""

    def __init__(self) -> None:
        self.sha256 = ""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The request that follows; see urllib."""
        stated = str(headers.get(LINKED_HASH) or "").strip('"')
        if len(stated) == 64:
            self.sha256 = stated
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, sha256: str, target: Path) -> str:
    """Write what lies at an address to a file; returns its sha256.

    `sha256` is how its hash begins, or "" where the publisher's answer states it. Raises BenchError
    where there is no network, or where the hash is another one or nobody states it.
    """
    redirects = _Redirects()
    opener = urllib.request.build_opener(redirects)
    digest = hashlib.sha256()
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer, replacing(target) as [part]:
            with part.open("wb") as file:
                while block := answer.read(BLOCK):
                    digest.update(block)
                    file.write(block)
            _check(digest.hexdigest(), sha256 or redirects.sha256, url)
    except urllib.error.URLError as problem:
        raise _unreachable(url, target, problem.reason) from None
    except (OSError, http.client.HTTPException) as problem:
        raise _unreachable(url, target, problem) from None
    return digest.hexdigest()


def _check(actual: str, stated: str, url: str) -> None:
    if not stated:
        raise BenchError(
            f"{url} states no hash of its file; fetch it in a browser and compare it yourself"
        )
    if not actual.startswith(stated):
        raise BenchError(
            f"{url} gave a file of sha256 {actual[:16]}; expected {stated[:16]}; try again later"
        )


def _unreachable(url: str, target: Path, reason: object) -> BenchError:
    return BenchError(
        f"{url} cannot be fetched ({reason}); fetch it where there is a network, and copy it to "
        f"{target}"
    )
