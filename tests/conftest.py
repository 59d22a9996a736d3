"""Fixtures for all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault(
    "SCARCEBENCH_MLFLOW", "off"
)  # each new database costs 7 s; tests of the mirror turn it on


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the public datasets; the test is skipped where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SCARCEBENCH_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(
            f"no real data: {folder} is not there; set SCARCEBENCH_DATA to the folder with the datasets"
        )
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch on one thread and from one seed, so that sums come in one order on every machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)
