"""Errors: bad input, told in one line (given, expected, what to do), and trainings that diverge."""

from __future__ import annotations

import re
from collections.abc import Iterable
from reprlib import Repr
from typing import Any

LONGEST_VALUE = 200  # characters of a value in a message
LONGEST_MESSAGE = 600  # characters about one key
MOST_PROBLEMS = 10  # of one file that a message names
# What a terminal obeys or turns around, and half characters that cannot be written: C0 and C1,
# marks of the writing direction, and the other line breaks of Unicode.
CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class BenchError(Exception):
    """Bad input from the user: the command line prints the message alone, with exit code 2."""


class DataProblem(BenchError):
    """A file of a data set that cannot be used as it is; the message names it."""


class NotFiniteError(ArithmeticError):
    """A loss or a probability is NaN or infinite."""


def shown(value: object) -> str:
    """A value as a message shows it: as in Python, in 200 characters at most.

    Deep, long and huge values are cut before they are written out.
    """
    short = Repr()
    short.maxstring = short.maxother = short.maxlong = LONGEST_VALUE
    short.maxdict = short.maxlist = short.maxtuple = 10
    short.maxlevel = 4
    try:
        return cut(short.repr(value))
    except Exception as problem:  # such as a number of more digits than Python writes
        return f"a {type(value).__name__} that cannot be shown ({type(problem).__name__})"


def cut(text: str) -> str:
    """A text in one line of 200 characters at most."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_VALUE else f"{line[: LONGEST_VALUE - 3]}..."


def printable(text: str) -> str:
    """A text in one line whose control characters are written out, such as \\x1b or \\n."""
    return CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def join_lines(lines: Iterable[str]) -> str:
    """Lines as one text for a terminal; a line break inside one of them is written out."""
    return "\n".join(map(printable, lines))


def one_line(problem: Any) -> str:
    """A pydantic ValidationError as one line: each bad key, what was given, what was expected."""
    parts = []
    errors = problem.errors()
    for error in errors[:MOST_PROBLEMS]:
        key = cut(".".join(str(step) for step in error["loc"]))
        message = " ".join(error["msg"].removeprefix("Value error, ").split())
        message = message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}..."
        if error["type"] == "extra_forbidden":
            parts.append(
                f"unknown key {key!r}; expected a key it knows; fix the spelling or drop it"
            )
        elif error["type"] == "missing":
            parts.append(f"key {key!r} is missing; add it")
        elif not key:
            parts.append(message)  # of the whole: it names its keys itself
        else:
            parts.append(f"{key}: {shown(error['input'])} given; {message}")
    if len(errors) > MOST_PROBLEMS:
        parts.append(f"and {len(errors) - MOST_PROBLEMS} more")
    return " | ".join(parts)
