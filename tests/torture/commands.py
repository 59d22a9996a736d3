"""Commands run in children of a process that has everything imported, and how they may end."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_CHARACTERS = 3000  # of the words a refusal may have


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int | None  # None where it was stopped or killed
    out: str
    err: str
    late: bool  # whether it ran past its limit


# What commands import where they use it. vl_convert is left out: it starts threads.
IMPORTED = (
    "run_bench",
    "bench.stages",
    "bench.verify.verify",
    "bench.worker.main",
    "datasets.readers.image_file",
    "methods.networks",
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna",
    "reports.write",
    "scipy.ndimage",
    "scipy.stats",
)


def import_everything() -> None:
    """Import what commands need once, so that a child starts in milliseconds."""
    for name in IMPORTED:
        importlib.import_module(name)


def start(arguments: Sequence[str], folder: Path, to: Path) -> int:
    """Start a command in a process group of its own; its words go to TO.out and TO.err."""
    return _start(lambda: _run(arguments), folder, to)


def call(function: Callable[[], str], folder: Path, limit_s: float = 60) -> Ended:
    """Call a function in a child of its own: what it returns is printed, what it raises is told.

    A BenchError ends as it does on the command line.
    """
    return _await(lambda to: _start(lambda: _call(function), folder, to), limit_s)


def _call(function: Callable[[], str]) -> int:
    from bench.errors import BenchError

    code = 0
    try:
        print(function())
    except BenchError as problem:
        print(f"error: {problem}", file=sys.stderr)
        code = 2
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _start(action: Callable[[], int], folder: Path, to: Path) -> int:
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.chdir(folder)
    for number, ending in ((1, "out"), (2, "err")):
        words = os.open(to.with_suffix(f".{ending}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(words, number)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    os._exit(action())


def _run(arguments: Sequence[str]) -> int:
    """Run the command line in this process; the exit code that a shell would see."""
    import run_bench

    sys.argv = ["run_bench.py", *arguments]
    code: int = 0
    try:
        run_bench.command_line()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def run(arguments: Sequence[str], folder: Path, limit_s: float = 60) -> Ended:
    """Run a command to its end; it is killed with all its processes after the limit."""
    return _await(lambda to: start(arguments, folder, to), limit_s)


def _await(start_child: Callable[[Path], int], limit_s: float) -> Ended:
    with tempfile.TemporaryDirectory() as words:
        to = Path(words) / "words"
        child = start_child(to)
        status = wait(child, limit_s)
        kill_group(child)
        out = to.with_suffix(".out").read_text(errors="replace")
        err = to.with_suffix(".err").read_text(errors="replace")
    if status is None:
        return Ended(None, out, err, late=True)
    code = os.waitstatus_to_exitcode(status)
    return Ended(code if code >= 0 else None, out, err, late=False)


def wait(child: int, limit_s: float) -> int | None:
    """The status of a child when it ends; None, and the child is killed, after the limit."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.01)
    kill_group(child)
    os.waitpid(child, 0)
    return None


def kill_group(child: int) -> None:
    """Kill whatever is left of the process group of a child."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def group_of(child: int) -> list[int]:
    """The processes of a child's group, the child first, then by age."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(int(entry.name)) == child:
                    members.append(int(entry.name))
    return sorted(members, key=lambda number: (number != child, number))


def fault_of(ended: Ended, allowed: Sequence[int] = (0, 1, 2)) -> str:
    """What is wrong with the way a command ended; "" if nothing is."""
    if ended.late:
        return "did not end"
    if ended.code is None:
        return "was killed by a signal"
    if "Traceback (most recent call last)" in ended.out + ended.err:
        return f"traceback: {ended.err.strip().splitlines()[-1][:200]}"
    if ended.code not in allowed:
        return f"exit code {ended.code}: {ended.err.strip()[-200:]}"
    if len(ended.out + ended.err) > MOST_CHARACTERS and ended.code == 2:
        return f"a refusal of {len(ended.out + ended.err)} characters"
    return _fault_of_refusal(ended) if ended.code == 2 else ""


def _fault_of_refusal(ended: Ended) -> str:
    errors = [text for text in ended.err.splitlines() if text.startswith("error: ")]
    others = [text for text in ended.err.splitlines() if not text.startswith(("error: ", "note: "))]
    if "Usage:" in ended.err:  # words of the option parser
        return ""
    if len(errors) != 1:
        return f"{len(errors)} lines of errors with exit code 2: {ended.err.strip()[:200]!r}"
    if others:
        return f"more than one line: {others[0][:200]!r}"
    return ""
