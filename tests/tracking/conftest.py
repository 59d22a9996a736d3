"""One result folder and one database of MLflow for all tests of the mirror."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.store import Store
from bench.tracking import connection
from tests.support import tiny_bench
from tests.support.mirrored import SYNC, rename, start


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One finished cell and one that failed, not mirrored."""
    store = Store(tmp_path_factory.mktemp("runs") / "toy")
    bad = {"method": "faulty", "variant": "bad", "config": {"fault": "raise"}}
    suite = tiny_bench.toy_suite(fractions=[], labelled=[2], subsets=1, methods=["threshold", bad])
    progress = tiny_bench.run(suite, store)
    assert (progress.done, progress.failed) == (1, 1)
    return store


@pytest.fixture(scope="session")
def first_syncs(ran: Store) -> list[tuple[str, str]]:
    """What two processes print that make the default database at once.

    To make one takes seconds, so all tests share it.
    """
    other = Store(ran.out.parent / "other")
    shutil.copytree(ran.out, other.out)
    rename(other, "other")
    processes = [start(SYNC, each, MLFLOW_TRACKING_URI="") for each in (ran, other)]
    return [process.communicate(timeout=100) for process in processes]


@pytest.fixture(scope="session")
def uri(ran: Store, first_syncs: list[tuple[str, str]]) -> str:
    """The database that they made."""
    return f"sqlite:///{ran.out.parent / 'mlflow.db'}"


@pytest.fixture
def store(ran: Store, tmp_path: Path) -> Store:
    """A copy with a suite name, and so an experiment, of its own."""
    copy = Store(tmp_path / "toy")
    shutil.copytree(ran.out, copy.out)
    rename(copy, tmp_path.name)
    return copy


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "SCARCEBENCH_MLFLOW", *connection.SETTINGS):
        monkeypatch.setenv(name, "")  # so that what the mirror sets is taken back at the end
        monkeypatch.delenv(name)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
