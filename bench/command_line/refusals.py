"""What a user sees of bad input, and of a machine that lacks something: one line, exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from bench.errors import BenchError, printable

LONGEST_REFUSAL = 2000  # characters
TOO_LITTLE_MEMORY = "there is too little memory; free some, or raise the limit (ulimit -v)"


@contextmanager
def one_line_refusals() -> Iterator[None]:
    """Ends the process with one line where a command cannot be carried out."""
    from bench.worker.failures import lacks_memory

    try:
        yield
    except BenchError as problem:
        _refuse(str(problem))
    except (MemoryError, ImportError, RuntimeError) as problem:
        if "Symlink loop" in str(problem):  # before Python 3.13, of Path.resolve
            _refuse(f"{problem}, a link to itself; give another path")
        if not lacks_memory(problem):
            raise
        _refuse(TOO_LITTLE_MEMORY)
    except OSError as problem:
        if problem.errno is None:
            raise
        if lacks_memory(problem):
            _refuse(TOO_LITTLE_MEMORY)
        place = problem.filename or "a file"
        reason = f"{place} cannot be used ({problem.strerror})"
        _refuse(f"{reason}; mend that and run the same command")


def _refuse(message: str) -> NoReturn:
    """Print why a command cannot be carried out, in one line that fits a screen; exit code 2."""
    message = printable(message)
    if len(message) > LONGEST_REFUSAL:  # it quotes what was given
        half = LONGEST_REFUSAL // 2
        message = f"{message[:half]} ... {message[-half:]}"
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
