"""Where a plan comes from: the commit of this project, and the day on which it was begun."""

from __future__ import annotations

import datetime
import subprocess
from functools import lru_cache

from bench import registry
from bench.errors import BenchError
from bench.files.records import read_json
from bench.store import Store


def started_on(store: Store) -> str:
    """The day (UTC) on which a folder was first planned, as 2026-01-31; later runs keep it."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    try:
        content = read_json(store.out / "plan.json")
    except BenchError:  # torn: it is written anew
        return today
    provenance = content.get("provenance") if isinstance(content, dict) else None
    started = provenance.get("started") if isinstance(provenance, dict) else None
    return started if isinstance(started, str) else today


@lru_cache(maxsize=1)
def commit() -> str:
    """The commit of this checkout, with a mark if files were changed; "unknown" outside of one."""
    command = ["git", "-C", str(registry.ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
