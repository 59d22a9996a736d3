"""Fixtures for all tests."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Bench, Command, call_here

# Each new database takes 7 s; tests of the mirror turn it on.
os.environ.setdefault("SCARCEBENCH_MLFLOW", "off")
# Test files run side by side, and more threads than cores slow all of them down.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the public data sets; tests that need it are skipped if there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SCARCEBENCH_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(
            f"no real data: {folder} does not exist; "
            "set SCARCEBENCH_DATA to the folder with the data sets"
        )
    return folder


@pytest.fixture(autouse=True, scope="session")
def float32_unless_a_suite_says() -> Iterator[None]:
    """`precision: auto` as on a machine without bfloat16: tests give equal numbers everywhere."""
    from bench.planning import precision

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "PROCESSOR", Path("no processor"))
        patch.setattr(precision, "GPU_DRIVERS", ())
        yield


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch on one thread and from one seed, so that sums come in one order on every machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def bench_here(capfd: pytest.CaptureFixture[str]) -> Bench:
    """The command line, called in this process: what imports cost is paid once."""

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        code = call_here(*words)
        return subprocess.CompletedProcess(words, code, *capfd.readouterr())

    return call


@pytest.fixture
def command(bench_here: Bench) -> Command:
    """The command line, called in this process: its exit code, and all that it prints."""

    def call(words: list[str]) -> tuple[int, str]:
        result = bench_here(*words)
        return result.returncode, result.stdout + result.stderr

    return call
