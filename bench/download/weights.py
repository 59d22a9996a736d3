"""Fetches a file of weights, whole and as its publisher names its hash, or not at all."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.download.transfer import TIMEOUT_S, Progress, Wanted, download
from bench.errors import BenchError

LINKED_HASH = "X-Linked-ETag"  # of a file that an address leads on to, at Hugging Face
HASH_LENGTH = 64


class _UntilHash(urllib.request.HTTPRedirectHandler):
    """Follows redirects until an answer states the hash of the file."""

    def __init__(self) -> None:
        self.sha256 = ""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The request that follows, or None where the hash is known; see urllib."""
        stated = str(headers.get(LINKED_HASH) or "").strip('"')
        if len(stated) == HASH_LENGTH:
            self.sha256 = stated
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch_weights(
    url: str,
    sha256: str,
    target: Path,
    show: Progress = lambda received, total: None,
    wait: Callable[[float], None] = time.sleep,
) -> str:
    """Write what lies at an address to a file; returns its sha256.

    `sha256` is how its hash begins, or "" where the publisher's answer states it. Raises BenchError
    where there is no network, or where the hash is another one or nobody states it.
    """
    expected = sha256 or _stated_hash(url, target)
    if not expected:
        raise BenchError(
            f"{url} states no hash of its file; fetch it in a browser and compare it yourself"
        )
    try:
        return download(Wanted(url, url, sha256=expected), target, show, wait)
    except BenchError as problem:
        raise _with_advice(problem, target) from None


def _stated_hash(url: str, target: Path) -> str:
    """The hash that the answer of a publisher states, or "". Raises BenchError without one."""
    redirects = _UntilHash()
    try:
        with urllib.request.build_opener(redirects).open(url, timeout=TIMEOUT_S):
            return redirects.sha256
    except urllib.error.HTTPError as problem:
        if redirects.sha256:
            return redirects.sha256
        reason: object = f"{problem.code} {problem.reason}"
    except urllib.error.URLError as problem:
        reason = problem.reason
    except (OSError, http.client.HTTPException) as problem:
        reason = problem
    raise _with_advice(BenchError(f"{url} cannot be fetched ({reason})"), target)


def _with_advice(problem: BenchError, target: Path) -> BenchError:
    """What failed, and what helps where this machine has no network."""
    return BenchError(f"{problem}; or fetch it where there is a network, and copy it to {target}")
