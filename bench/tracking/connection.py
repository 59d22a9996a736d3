"""The client of MLflow, and the locks that keep processes from meeting in one database."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOCK_TIMEOUT_S = 45.0
# Unless the user has set them; with MLflow's own values a server that is down costs minutes.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def client_class() -> type[MlflowClient]:
    """MLflow's client, quiet and soon to give up; to import it takes seconds."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for chatter in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(chatter).setLevel(logging.ERROR)
    return MlflowClient


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock on a file. Raises TimeoutError if others hold it for LOCK_TIMEOUT_S."""
    with file.open("a") as handle:
        _wait_for_lock(handle.fileno(), file)
        yield


def _wait_for_lock(handle: int, file: Path) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{file} has been locked by another process for {LOCK_TIMEOUT_S:.0f} s"
                ) from None
            time.sleep(0.05)
