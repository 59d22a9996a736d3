"""Workers on this machine: their server, and how their ends are read."""

import signal
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

from bench.execution.local import BUSY, NO_DISK, NO_MEMORY, _by_exit_code
from bench.store import claim
from bench.worker import main

ROOT = Path(__file__).parent.parent.parent


def test_the_server_of_workers_is_deaf_to_ctrl_c_from_its_start() -> None:
    """Ctrl-C in the first seconds, while it imports torch, printed a traceback."""
    code = """
import os, signal
# A job that a shell runs in the background ignores it from the start.
signal.signal(signal.SIGINT, signal.default_int_handler)
from multiprocessing import forkserver
from bench.execution.local import LocalExecutor, _start_server
executor = LocalExecutor(1, 1)
_start_server()
os.kill(forkserver._forkserver._forkserver_pid, signal.SIGINT)
process = executor.context.Process(target=print, args=("forked",))
process.start()
process.join()
print(signal.getsignal(signal.SIGINT).__name__, signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.stdout.split() == ["forked", "default_int_handler", "set()"], result.stderr
    assert result.stderr == ""


SERVER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from bench.execution.local import LocalExecutor, _start_server
executor = LocalExecutor(1, 1)
_start_server()
process = executor.context.Process(target=print, args=("forked",))
process.start()
process.join()
print(os.environ.get("PYTHONSAFEPATH"))
"""


def test_workers_import_this_harness_and_no_other(tmp_path: Path) -> None:
    """The server imported `bench` of the working directory, or an installed one, without a word:

    what trained was not the code in the keys.
    """
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("open('imported', 'w').close()")
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "server.py"
    script.write_text(f"if __name__ == '__main__':\n{indent(SERVER, '    ')}")
    command = [sys.executable, str(script), str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert result.stdout.split() == ["forked", "None"]
    assert not (tmp_path / "imported").exists()


def test_exit_codes_are_those_of_the_worker() -> None:
    assert (main.BUSY, main.NO_MEMORY, main.NO_DISK) == (BUSY, NO_MEMORY, NO_DISK)


def test_busy_is_believed_where_another_launch_holds_the_cell(tmp_path: Path) -> None:
    """A method that ended its process with code 3 was started again for ever."""
    with claim(tmp_path) as mine:
        assert mine
        assert _by_exit_code(tmp_path, BUSY, process=1).how == "busy"
    own = int((tmp_path / "claim").read_text())
    assert _by_exit_code(tmp_path, BUSY, process=own).how == "ended"
    (tmp_path / "claim").unlink()
    assert _by_exit_code(tmp_path, BUSY, process=own).how == "ended"


def test_a_holder_in_another_container_may_have_the_same_number(tmp_path: Path) -> None:
    """A cell that ran in one container counted as crashed in another one, where numbers met."""
    with claim(tmp_path):
        holder = int((tmp_path / "claim").read_text())
        assert _by_exit_code(tmp_path, BUSY, process=holder).how == "busy"


@pytest.mark.parametrize(
    ("code", "how", "detail"),
    [
        (-11, "crash", "killed by SIGSEGV"),
        (-9, "out of memory", "killed by SIGKILL (out of memory?)"),
        (-15, "lost", "killed by SIGTERM"),
        (NO_MEMORY, "out of memory", "exit code 4; see log.txt"),
        (NO_DISK, "disk", "exit code 74; see log.txt"),
        (0, "ended", "exit code 0"),
    ],
)
def test_ends_are_told_apart(tmp_path: Path, code: int, how: str, detail: str) -> None:
    finished = _by_exit_code(tmp_path, code, process=1)
    assert (finished.how, finished.detail) == (how, detail)


@pytest.mark.parametrize(
    ("said", "how"),
    [
        ("terminate called after throwing an instance of 'std::bad_alloc'", "out of memory"),
        ("DefaultCPUAllocator: can't allocate memory", "out of memory"),
        ("free(): invalid pointer", "crash"),
    ],
)
def test_an_abort_for_want_of_memory_is_not_the_failure_of_the_method(
    tmp_path: Path, said: str, how: str
) -> None:
    """Under `ulimit -v` native code of torch aborts; that counted as a crash of the method."""
    (tmp_path / "cells" / "key").mkdir(parents=True)
    folder = tmp_path / "cells" / "key"
    (folder / "log.txt").write_text(f"fit on 2 cases\n{said}\n")
    assert _by_exit_code(folder, -signal.SIGABRT, process=1).how == how
