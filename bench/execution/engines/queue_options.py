"""`--queue-options`: what a site's queue asks for, as its library names it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from bench.errors import BenchError, cut
from bench.planning.strict_yaml import read_yaml
from bench.registry import unknown

JOBS = "jobs"  # how many jobs at once: the one key that is ours
MOST_JOBS = 1000


def read_queue_options(file: Path | None) -> dict[str, Any]:
    """The keys of a YAML file; empty without one. Raises BenchError if it cannot be used."""
    if file is None:
        return {}
    problem = f"--queue-options {file} given"
    try:
        content = read_yaml(file.read_text(encoding="utf-8"))
    except OSError as cause:
        raise BenchError(
            f"{problem}; it cannot be read ({cause.strerror}); give a YAML file"
        ) from None
    except ValueError as cause:
        raise BenchError(f"{problem}; {cause}; fix the file") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise BenchError(f"{problem}; expected lines such as 'memory: 8GB'")
    return content


def jobs_of(options: Mapping[str, Any], default: int) -> int:
    """How many jobs a user asks for. Raises BenchError for what is no such number."""
    jobs = options.get(JOBS, default)
    if isinstance(jobs, bool) or not isinstance(jobs, int) or not 1 <= jobs <= MOST_JOBS:
        raise BenchError(
            f"--queue-options: {JOBS}: {cut(str(jobs))} given; expected 1 to {MOST_JOBS}"
        )
    return jobs


def expect_known(options: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise BenchError for an option that the queue does not have."""
    for name in options:
        if name != JOBS and name not in known:
            raise BenchError(f"--queue-options: {unknown('option', name, sorted(known))}")
