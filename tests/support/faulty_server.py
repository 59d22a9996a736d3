"""A server of this machine whose answers are as bad as those of servers elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """A file of the server, and what is wrong with it."""

    content: bytes
    kind: str = "application/zip"
    tag: str = '"v1"'
    cuts: list[int] = field(default_factory=list)  # bytes after which the next answers end
    statuses: list[int] = field(default_factory=list)  # of the next answers, in place of a file
    ignores_ranges: bool = False
    hides_length: bool = False
    range_total: str = ""  # in place of the length, in Content-Range
    redirect: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # further ones, of a redirect


@dataclass
class Server:
    """The files by path, and each request with its range, as they came."""

    address: str
    files: dict[str, Served] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Server]:
    """A server for as long as it is used."""
    handler = type("Handler", (_Handler,), {})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server = Server(f"http://127.0.0.1:{http.server_address[1]}")
    handler.server_state = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_state: Server

    def do_GET(self) -> None:  # of the library
        state = self.server_state
        asked = self.headers.get("Range")
        state.requests.append((self.path, asked))
        served = state.files.get(self.path)
        if served is None:
            self.send_error(404)
        elif served.statuses:
            self.send_error(served.statuses.pop(0))
        elif served.redirect:
            self.send_response(302)
            self.send_header("Location", served.redirect)
            for name, value in served.headers.items():
                self.send_header(name, value)
            self.end_headers()
        else:
            self._send(served, asked)

    def _send(self, served: Served, asked: str | None) -> None:
        start = 0
        is_same = self.headers.get("If-Range") == served.tag
        if asked and is_same and not served.ignores_ranges:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        if start >= len(served.content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(served.content)}")
            self.end_headers()
            return
        content = served.content[start:]
        self.send_response(206 if start else 200)
        if start:
            last = len(served.content) - 1
            total = served.range_total or len(served.content)
            self.send_header("Content-Range", f"bytes {start}-{last}/{total}")
        self.send_header("Content-Type", served.kind)
        self.send_header("ETag", served.tag)
        if not served.hides_length:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if served.cuts:
            content = content[: served.cuts.pop(0)]
        self.wfile.write(content)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the requests are kept."""
