"""CSV as text: any name survives writing and reading, and no spreadsheet runs one as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

LINE_END = "\r\n"
TEXTS = 2  # fields of a score table that are no numbers: case and patient, which stand first
# What spreadsheets run: https://owasp.org/www-community/attacks/CSV_Injection. Apostrophes before
# it count too, so that a name that has one of its own is read back as it was.
FORMULA = re.compile(r"'*[=+\-@\t\r]")
QUOTED_FORMULA = re.compile(r"'+[=+\-@\t\r]")
# A line whose first or second field begins like that, or a field that has quotes around it.
TO_BE_PARSED = re.compile(r"""(?m)^(?:[^,\n]*,)?'*[=+\-@\t\r]|["\r]""")


class _Lines:
    """Takes the lines of a csv.writer, which come one a call, and ends them with a line feed.

    The writer quotes those characters that its own line end has. With a line end of "\\n" it would
    leave a carriage return inside a name bare, and a reader would end the line there.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line.removesuffix(LINE_END) + "\n")


def write_rows(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV text, each ended by a line feed; None is an empty field."""
    lines = _Lines()
    csv.writer(lines, lineterminator=LINE_END).writerows(rows)
    return "".join(lines.lines)


def read_rows(text: str) -> list[list[str]]:
    """The rows of CSV text, whatever their fields hold. Raises csv.Error where it is none."""
    return list(csv.reader(io.StringIO(text, newline="")))


def quote_formula(value: Any) -> Any:
    """A text that spreadsheets would run, behind an apostrophe; anything else as it is."""
    if isinstance(value, str) and FORMULA.match(value):
        return f"'{value}"
    return value


def unquote_formula(text: str) -> str:
    """The text that `quote_formula` was given."""
    return text[1:] if QUOTED_FORMULA.match(text) else text


def rows_behind(text: str, start: Sequence[Any]) -> str:
    """The rows of CSV text below its header, each behind the same fields.

    Case and patient, the first two fields of each row, are texts; numbers follow. Raises csv.Error
    where the text is no CSV.
    """
    quoted_start = [quote_formula(value) for value in start]
    _, _, body = text.partition("\n")
    if not TO_BE_PARSED.search(text):  # much faster, and leaderboards have millions of rows
        prefix = write_rows([quoted_start]).removesuffix("\n")
        lines = body.removesuffix("\n").split("\n") if body else []
        return "".join(f"{prefix},{line}\n" for line in lines)
    rows: list[list[Any]] = []
    for row in read_rows(text)[1:]:
        quoted = [quote_formula(name) for name in row[:TEXTS]]
        rows.append([*quoted_start, *quoted, *row[TEXTS:]])
    return write_rows(rows)
