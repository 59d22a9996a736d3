"""Odd words on the command line are refused in one short line; little memory and disk too."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import run_bench
from tests.support.command_line import Command, expect_one_line

SUITE = "{name: toy, title: Toy, datasets: [phantoms], fractions: [1.0], methods: [supervised], "


@pytest.fixture
def suite(tmp_path: Path) -> str:
    """A small suite."""
    file = tmp_path / "toy.yaml"
    file.write_text(SUITE + "size: [64, 64], steps: 3}")
    return str(file)


@pytest.mark.parametrize("place", ["nowhere.py", ".", "pipe", "loop"])
@pytest.mark.parametrize("name", ["run", "report"])
def test_a_plug_in_that_is_not_there_is_refused(
    tmp_path: Path, suite: str, command: Command, name: str, place: str
) -> None:
    """`run --plugin nowhere.py` went on without a word where the suite needed no plug-in."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    given = suite if name == "run" else str(tmp_path)
    code, text = command([name, given, f"--plugin={tmp_path / place}"])
    assert code == 2
    expect_one_line(text, "--plugin", "expected a Python file; give its path")


def test_links_to_themselves_are_refused(tmp_path: Path, suite: str, command: Command) -> None:
    """Path.resolve raised RuntimeError, and so did every option that takes a path."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for words in (
        ["run", suite, "--dry-run", "--inception", str(loop)],
        ["run", suite, "--dry-run", "--out", str(loop)],
        ["report", str(loop)],
        ["status", str(loop)],
        ["index", str(loop), "--to", str(tmp_path / "site")],
    ):
        code, text = command(words)
        assert code == 2
        expect_one_line(text, "loop")


def test_a_refusal_quotes_no_more_than_a_screen(suite: str, command: Command) -> None:
    """100,000 letters after --only came back as 100,116."""
    for words in (
        ["run", suite, "--only", "x" * 100_000],
        ["run", suite, "--only", "method=" + "x" * 100_000],
        ["report", "nowhere", "--format", "x" * 100_000],
        ["list", "x" * 100_000],
    ):
        code, text = command(words)
        assert code == 2
        expect_one_line(text)
        assert len(text) < 2100


@pytest.mark.parametrize(
    "problem",
    [
        MemoryError(),
        ImportError("_philox.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_too_little_memory_is_one_line(
    monkeypatch: pytest.MonkeyPatch, command: Command, problem: Exception
) -> None:
    """Under `ulimit -v` the imports of the command line ended in a traceback."""

    def fail() -> None:
        raise problem

    monkeypatch.setattr(run_bench, "app", fail)
    code, text = command(["list", "methods"])
    assert code == 2
    expect_one_line(text, "there is too little memory", "ulimit -v")


def test_an_error_that_followed_from_too_little_memory_is_one_line(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """A second import of torch says only that there was a first one."""

    def fail() -> None:
        try:
            raise MemoryError
        except MemoryError:
            raise ImportError("torch can only be initialized once per process")  # noqa: B904

    monkeypatch.setattr(run_bench, "app", fail)
    assert command(["list", "methods"])[0] == 2


def test_other_errors_keep_their_traceback(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    def fail() -> None:
        raise RuntimeError("a mistake of the harness")

    monkeypatch.setattr(run_bench, "app", fail)
    with pytest.raises(RuntimeError, match="a mistake of the harness"):
        command(["list", "methods"])
