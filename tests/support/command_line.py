"""The command line called by tests: in a process of its own, and what it prints when it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.support import tiny_bench

# The command line in the process of a test, where what imports cost is paid once: words -> exit
# code, and all that it prints.
Command = Callable[[list[str]], tuple[int, str]]
# The same, with what it prints to each stream.
Bench = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[2]
PLUGINS = [f"--plugin={file}" for file in sorted((ROOT / "tests" / "plugins").glob("*.py"))]
TOY = {**tiny_bench.TOY, "steps": 30}


def expect_one_line(text: str, *parts: str) -> None:
    """What a refusal prints: one line, which holds some parts."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0]


def bench(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line and wait."""
    return subprocess.run(
        [sys.executable, str(ROOT / "run_bench.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


def suite_file(folder: Path, **changes: object) -> Path:
    """The toy suite in a file; keys may be changed."""
    file = folder / "toy.yaml"
    file.write_text(yaml.safe_dump({**TOY, **changes}))
    return file


def call_here(*words: object) -> int:
    """The exit code of the command line, called in this process."""
    import run_bench

    before = sys.argv
    sys.argv = ["run_bench.py", *map(str, words)]
    try:
        run_bench.command_line()
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.argv = before
    return 0


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The one line of a refusal."""
    assert result.returncode == 2, result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]
