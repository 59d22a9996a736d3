"""Text on its way to the terminal: what a name or a message holds is shown, never obeyed.

Names, reasons and labels of a result folder from elsewhere may hold escape sequences, which would
hide lines, rename the window or type for the user.
"""

from __future__ import annotations

import logging
import sys
from io import TextIOWrapper

import typer

from bench.errors import join_lines, printable


def say(text: str, err: bool = False, colour: str | None = None) -> None:
    """Print a text of one or more lines; with `err`, to where errors go."""
    shown = join_lines(text.split("\n"))
    typer.secho(shown, err=err, fg=colour)


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
