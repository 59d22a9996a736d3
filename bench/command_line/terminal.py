"""Text on its way to the terminal: what a name or a message holds is shown, never obeyed.

Names, reasons and labels of a result folder from elsewhere may hold escape sequences, which would
hide lines, rename the window or type for the user.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Sequence
from io import TextIOWrapper

import typer

from bench.errors import join_lines, printable


def say(text: str, err: bool = False, colour: str | None = None) -> None:
    """Print a text of one or more lines; with `err`, to where errors go."""
    shown = join_lines(text.split("\n"))
    typer.secho(shown, err=err, fg=colour)


def print_notes(notes: Iterable[str]) -> None:
    """Notes beside what a command prints."""
    for note in notes:
        say(printable(f"note: {note}"), err=True)


def make_output_safe() -> None:
    """Let logged messages pass `printable`, and write what the terminal has no letter for."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_PrintableMessages())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _PrintableMessages(logging.Formatter):
    """Messages of the log as they are printed where nobody has set up logging."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # of the library
        return printable(super().formatMessage(record))


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of text cells as a table, its columns padded to one width."""
    shown = [list(map(printable, line)) for line in lines]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    padded_lines = []
    for line in shown:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        padded_lines.append("  ".join(padded).rstrip())
    return "\n".join(padded_lines)
