"""The command line called in the process of a test: what imports cost is paid once."""

from __future__ import annotations

from collections.abc import Callable

Command = Callable[[list[str]], tuple[int, str]]  # words -> exit code, and all that it prints


def expect_one_line(text: str, *parts: str) -> None:
    """What a refusal prints: one line, which holds some parts."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0]
