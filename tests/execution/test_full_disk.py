"""A run on a disk that is really full: nothing is lost, and the next run ends as if it were not."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.tiny_bench import PLUGIN_FOLDER, TOY

ROOT = Path(__file__).parents[2]
PLUGINS = [f"--plugin={PLUGIN_FOLDER / name}.py" for name in ("threshold", "tiny")]
LARGE = "64m"


def resize(disk: Path, size: str, how: str = "remount,") -> None:
    """Mount a file system in memory of a size, or give it another size."""
    options = ["-t", "tmpfs", "-o", f"{how}size={size}"]
    subprocess.run(["mount", *options, "tmpfs", str(disk)], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk; the test is skipped where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        resize(folder, LARGE, how="")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this process may not mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def run(folder: Path, subsets: int, limit: Callable[[], None] | None = None) -> tuple[int, str]:
    """The toy suite, run into folder/runs/toy: exit code and messages."""
    suite = folder.parent / "toy.yaml"
    suite.write_text(yaml.safe_dump({**TOY, "fractions": [1.0], "subsets": subsets}))
    command = [sys.executable, str(ROOT / "run_bench.py"), "run", str(suite), *PLUGINS]
    out = ["--out", str(folder / "runs" / "toy"), "--workers=1", "--retries=0"]
    ended = subprocess.run(
        [*command, *out],
        capture_output=True,
        text=True,
        timeout=400,
        preexec_fn=limit,
        cwd=ROOT,
        env={**os.environ, "SCARCEBENCH_MLFLOW": "off"},
    )
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended.returncode, ended.stderr


def board_of(folder: Path) -> dict[str, Any]:
    """The leaderboard without times and versions."""
    board: dict[str, Any] = json.loads((folder / "runs" / "toy" / "board.json").read_text())
    return {name: part for name, part in board.items() if name not in ("cost", "provenance")}


def leavings(folder: Path) -> list[str]:
    """Temporary files, and cells that count as failed."""
    left = []
    for file in folder.rglob("*"):
        is_temporary = file.name.endswith(".part") or file.name.startswith(".")
        if is_temporary or file.name in ("failure.json", "interrupted.json"):
            left.append(file.name)
    return left


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The leaderboard of two draws on a large disk."""
    folder = tmp_path_factory.mktemp("large") / "disk"
    assert run(folder, 2)[0] == 0
    return board_of(folder)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param("20k", marks=pytest.mark.long),
        pytest.param("72k", marks=pytest.mark.slow),
        pytest.param("300k", marks=pytest.mark.long),
    ],
)
def test_a_full_disk_is_told_and_never_counts(
    disk: Path, undisturbed: dict[str, Any], size: str
) -> None:
    """Full while it decodes, while a cell trains and scores, and while the page is drawn.

    In the second case the worker could not even write that the disk was full, and the cell counted
    as failed for good.
    """
    resize(disk, size)
    code, text = run(disk, 2)
    assert code in (1, 2)
    assert "No space left on device" in text
    assert not list(disk.rglob("failure.json"))
    resize(disk, LARGE)
    assert run(disk, 2)[0] == 0
    assert board_of(disk) == undisturbed
    assert leavings(disk) == []


@pytest.mark.long
def test_a_full_disk_leaves_the_older_page(disk: Path, undisturbed: dict[str, Any]) -> None:
    assert run(disk, 1)[0] == 0
    files = [disk / "runs" / "toy" / name for name in ("board.json", "report/index.html")]
    before = [file.read_bytes() for file in files]
    status = os.statvfs(disk)
    used = (status.f_blocks - status.f_bfree) * status.f_frsize
    resize(disk, str(used + 150_000))
    code, text = run(disk, 2)
    assert code == 2
    assert "No space left on device" in text
    assert [file.read_bytes() for file in files] == before
    resize(disk, LARGE)
    assert run(disk, 2)[0] == 0
    assert board_of(disk) == undisturbed
    assert leavings(disk) == []


@pytest.mark.long
def test_a_limit_on_file_sizes_is_told_and_never_counts(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    folder = tmp_path / "disk"
    code, text = run(folder, 2, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000,) * 2))
    assert code == 2
    assert "File too large" in text
    assert run(folder, 2)[0] == 0
    assert board_of(folder) == undisturbed
    assert leavings(folder) == []


@pytest.mark.slow
def test_too_little_memory_for_imports_is_told(tmp_path: Path) -> None:
    """Under `ulimit -v` of 400 MB the import of torch fails half-way: "crash: exit code 1"."""
    limit = (400 * 2**20,) * 2
    folder = tmp_path / "disk"
    code, text = run(folder, 1, lambda: resource.setrlimit(resource.RLIMIT_AS, limit))
    assert code in (1, 2)
    failures = [file.read_text() for file in folder.rglob("failure.json")]
    assert failures or "error: there is too little memory" in text
    for failure in failures:
        assert "too large for this machine" in failure
