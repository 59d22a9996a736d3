"""Two hosts on one machine: network namespaces that are joined by a cable of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.dask_cluster import Host

ADDRESSES = ("10.213.77.1", "10.213.77.2")  # of the namespaces alone


@contextmanager
def two_namespaces() -> Iterator[tuple[Host, Host] | None]:
    """Two hosts, each with an interface `veth`; None where this machine lets one make none."""
    names = tuple(f"drill-{os.getpid()}-{letter}" for letter in "ab")
    try:
        yield _hosts(names) if _are_made(names) else None
    finally:
        for name in names:
            _ip("netns", "del", name)


def _are_made(names: tuple[str, ...]) -> bool:
    first, second = names
    steps = [("netns", "add", first), ("netns", "add", second)]
    cable = ("link", "add", "veth", "netns", first, "type", "veth")
    steps.append((*cable, "peer", "name", "veth", "netns", second))
    for name, address in zip(names, ADDRESSES, strict=True):
        steps.append(("-n", name, "address", "add", f"{address}/30", "dev", "veth"))
        steps.append(("-n", name, "link", "set", "veth", "up"))
        steps.append(("-n", name, "link", "set", "lo", "up"))
    return all(_ip(*words) for words in steps)


def _ip(*words: str) -> bool:
    try:
        return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0
    except OSError:  # no such program
        return False


def _hosts(names: tuple[str, ...]) -> tuple[Host, Host]:
    first, second = names
    prefixes = [("ip", "netns", "exec", name) for name in (first, second)]
    return Host(ADDRESSES[0], prefixes[0]), Host(ADDRESSES[1], prefixes[1])
