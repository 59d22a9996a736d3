"""Which result folder a run of MLflow belongs to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from bench import hashing
from bench.files.records import read_record, write_record
from bench.tracking.connection import locked


@dataclass(frozen=True)
class FolderToken:
    """mlflow.json: tells a result folder from those of other machines."""

    token: str


def folder_identity(out: Path) -> str:
    """The name under which the runs of a result folder are kept in MLflow.

    It is a hash of a random token, which the folder holds, and of the number that the file system
    gives to the folder (its inode). A folder that is renamed or moved keeps both, and so its runs.
    A copy has the token but another number, so that the two go separate ways from there on; a copy
    that is brought up to date in place, as by rsync, keeps its own. A path would tie the runs to
    a place: two machines or containers may well use the same one with one server.
    """
    file = out / "mlflow.json"
    if not file.exists():
        with locked(out / "mlflow.lock"):
            if not file.exists():
                write_record(file, FolderToken(secrets.token_hex(16)))
    record = read_record(file, FolderToken, "remove it; 'sync' then writes all runs anew")
    assert record is not None
    return hashing.digest([record.token, out.stat().st_ino])[:20]
