"""What is damaged or held up costs itself alone, and waiting ends."""

from __future__ import annotations

import fcntl
import json
import logging
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bench import tracking
from bench.errors import BenchError
from bench.store import Store
from bench.tracking import connection, content, experiment, follower
from tests.support.mirrored import BAD, GOOD, cell, runs, start, write_history
from tests.support.sealed import finish_again


@pytest.fixture
def dripping_server() -> Iterator[str]:
    """The address of a server that answers each request with one byte after the other."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        thread = threading.Thread(target=_drip, args=(server, over), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        over.set()
        thread.join(5)


def _drip(server: socket.socket, over: threading.Event) -> None:
    callers: list[socket.socket] = []
    while not over.is_set():
        with suppress(TimeoutError):
            caller, _ = server.accept()
            caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            callers.append(caller)
        for caller in callers:
            with suppress(OSError):
                caller.sendall(b" ")
        time.sleep(0.05)
    for caller in callers:
        caller.close()


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Another launch has the lock of the mirror."""
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def busy(database: Path) -> Iterator[None]:
    """Another program writes to the database."""
    with sqlite3.connect(database) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.rollback()
    other.close()


def database_of(uri: str) -> Path:
    """The file of a database."""
    return Path(uri.removeprefix("sqlite:///"))


def test_sync_does_not_wait_for_a_lock_for_ever(
    store: Store, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had not ended after 150 s."""
    monkeypatch.setattr(connection, "LOCK_TIMEOUT_S", 0.2)
    lock = Path(f"{database_of(uri)}.lock")
    with (
        held(lock),
        pytest.raises(BenchError, match=r"^MLflow: .*mlflow\.db\.lock has been locked"),
    ):
        tracking.sync(store, uri)
    assert tracking.sync(store, uri) == 2


def test_a_run_does_not_wait_for_a_lock_for_ever(
    store: Store, uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "LOCK_TIMEOUT_S", 0.2)
    with held(Path(f"{database_of(uri)}.lock")), tracking.mirror(store, uri) as tell:
        tell(cell(store, "threshold").key)
    [record] = caplog.records
    assert "mlflow.db.lock has been locked by another process" in record.getMessage()
    assert record.getMessage().count("results are complete") == 1


def test_sync_does_not_wait_for_a_busy_database_for_ever(
    store: Store, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite waits for seconds at each of many statements, and MLflow tries them again."""
    monkeypatch.setattr(follower, "ANSWER_TIMEOUT_S", 1.0)
    with (
        busy(database_of(uri)),
        pytest.raises(BenchError, match=r"^MLflow: .*results are complete"),
    ):
        tracking.sync(store, uri)


def test_sync_does_not_wait_for_a_dripping_server_for_ever(
    store: Store, dripping_server: str
) -> None:
    """Each byte begins a new time limit of the request; it had not ended after 150 s."""
    code = (
        "from bench.tracking import follower; follower.ANSWER_TIMEOUT_S = 2.0\n"
        "import sys; sys.argv = ['run_bench.py', 'sync', sys.argv[1]]\n"
        "import run_bench; run_bench.command_line()"
    )
    process = start(code, store, MLFLOW_TRACKING_URI=dripping_server)
    printed, told = process.communicate(timeout=100)
    assert (process.returncode, printed) == (2, ""), told
    [line] = told.splitlines()
    assert "MLflow: no answer for 2 s; results are complete; see MLFLOW_TRACKING_URI" in line


def test_a_run_does_not_wait_for_a_dripping_server_for_ever(
    store: Store,
    dripping_server: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(follower, "CLOSE_TIMEOUT_S", 0.5)
    with tracking.mirror(store, dripping_server) as tell:
        tell(cell(store, "threshold").key)
    [record] = caplog.records
    assert "MLflow mirror off: not ready after 0 s; results are complete" in record.getMessage()


def test_answers_keep_a_long_sync_alive(
    store: Store, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is for the time without an answer, not for the whole."""
    thread = follower.SyncThread(store, uri)
    thread.answered_at -= follower.ANSWER_TIMEOUT_S + 1
    monkeypatch.setattr(thread, "is_alive", lambda: True)
    with pytest.raises(BenchError, match="no answer for 60 s"):
        thread.wait()
    thread._note_answer()
    monkeypatch.setattr(thread, "join", lambda left: monkeypatch.undo())
    monkeypatch.setattr(thread, "is_alive", iter([True, False]).__next__)
    thread.wait()


ODD = {
    "good": [[0, 1.0], [1, 0.5]],
    "loss (ce)": [[0, 2.0]],
    "loss _ce_": [[0, 3.0]],
    "text": "none",
    "pairs": [[0, 1.0, 2.0]],
    "words": [[0, "low"]],
    "huge": [[0, 10**400]],
    "far": [[2**63, 1.0]],
    "x" * 600: [[0, 4.0]],
    "dice": [[0, 0.5]],
}


def test_one_bad_curve_costs_one_curve(
    store: Store, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It used to end the whole mirror, for the cells after it too."""
    folder = store.cell(cell(store, "threshold").key)
    (folder.path / "history.json").write_text(json.dumps(ODD))
    finish_again(folder)
    assert tracking.sync(store, uri) == 2
    run = runs(store, uri)[GOOD]
    expected = {
        "good": 0.5,
        "loss _ce_": 2.0,
        "step/loss _ce_": 3.0,
        "x" * 240: 4.0,
        "step/dice": 0.5,
    }
    assert expected.items() <= run.data.metrics.items()
    assert not {"text", "pairs", "words", "huge", "far"} & set(run.data.metrics)
    assert run.data.tags["scarcebench.left_out"] == "text, pairs, words, huge, far"
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().endswith(f"{GOOD}: text, pairs, words, huge, far")
    assert tracking.sync(store, uri) == 0


def test_a_curve_that_mlflow_refuses_costs_one_curve(
    store: Store, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever MLflow comes to refuse: here names that are not cleaned."""
    monkeypatch.setattr(content, "clean_name", lambda name: name)
    history = {"loss%": [[0, 1.0]], "loss": [[0, 2.0]]}
    write_history(store, history)
    assert tracking.sync(store, uri) == 2
    run = runs(store, uri)[GOOD]
    assert run.data.metrics["loss"] == 2.0
    assert run.data.metrics["dice"] > 0.9
    assert run.data.tags["scarcebench.left_out"] == "loss%"


def test_a_refused_curve_costs_none_in_later_batches(
    store: Store, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "clean_name", lambda name: name)
    monkeypatch.setattr(experiment, "BATCH_METRICS", 3)
    history: dict[str, Any] = {"bad%": [[step, 1.0] for step in range(4)], "last": [[0, 2.0]]}
    write_history(store, history)
    tracking.sync(store, uri)
    run = runs(store, uri)[GOOD]
    assert run.data.metrics["last"] == 2.0
    assert run.data.tags["scarcebench.left_out"] == "bad%"


def test_a_cell_with_a_damaged_file_costs_one_cell(
    store: Store, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = cell(store, "threshold").key
    (store.cell(key).path / "history.json").write_text('{"loss": [[0, 1')
    assert tracking.sync(store, uri) == 1
    assert set(runs(store, uri)) == {BAD}
    [record] = caplog.records
    assert record.getMessage().startswith(f"not mirrored: {GOOD}: ")
    assert "history.json was changed after it was written" in record.getMessage()
