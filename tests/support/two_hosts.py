"""Several machines with one folder, as tests play them in one process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.files import hosts, leases


@contextmanager
def as_host(name: str, clock_s: float = 0.0) -> Iterator[None]:
    """This process on another machine, whose clock is off by some seconds.

    File locks of other machines are not seen, as on network file systems that keep them local.
    """
    clock = time.time
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosts, "kernel_id", lambda: f"{name.encode().hex():0>12}"[-12:])
        patch.setattr(hosts, "host_name", lambda: name)
        patch.setattr("fcntl.flock", lambda file, operation: None)
        patch.setattr("time.time", lambda: clock() + clock_s)
        yield


def not_heard_of_for(folder: Path, seconds: float) -> None:
    """Let the lease on a folder be as old as if its holder had been silent for so long."""
    file = folder / leases.LEASE
    written = file.stat().st_mtime
    now = leases.server_time(folder)
    os.utime(file, (written, now - seconds))
