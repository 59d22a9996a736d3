"""What a user may say about an image folder beside the pictures: dataset.toml and tables by case."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from bench.errors import DataProblem
from datasets.readers.pairing import some

KINDS: dict[str, Any] = {
    "title": str,
    "licence": str,
    "source": str,
    "citation": str,
    "unit": str,
    "redistribute": bool,
    "normals": bool,
    "classes": list,
    "labels": list,
    "spacing": list,
}


@dataclass(frozen=True, slots=True)
class Facts:
    """The content of dataset.toml; empty text where the folder itself has the better default."""

    title: str = ""
    licence: str = "not stated"
    source: str = "not stated"
    citation: str = "not stated"
    unit: str = ""
    redistribute: bool = False
    normals: bool = False
    classes: tuple[str, ...] = ("background", "foreground")
    labels: tuple[str, ...] = ()  # names of the numbers in labels.csv
    spacing: tuple[float, ...] | None = None  # mm per pixel along height and width


@dataclass(frozen=True, slots=True)
class Table:
    """One column of a CSV file by case, and the line of each case."""

    path: Path
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def problem(self, case: str, given: str, expected: str) -> DataProblem:
        """A problem with the line of one case."""
        return DataProblem(f"{self.path} line {self.lines[case]}: {given}; expected {expected}")


def read_facts(path: Path) -> Facts:
    """The facts of a dataset.toml, or the defaults where it is not there. Raises DataProblem."""
    if not path.is_file():
        return Facts()
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of TOML or of UTF-8
        raise DataProblem(f"{path}: not a TOML file ({error}); mend that line") from error
    for key, value in given.items():
        _check_fact(path, key, value)
    facts: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
    }
    return Facts(**facts)


def _check_fact(path: Path, key: str, value: Any) -> None:
    if key not in KINDS:
        raise DataProblem(f"{path}: unknown key '{key}'; expected some of {', '.join(KINDS)}")
    if not isinstance(value, KINDS[key]):
        raise DataProblem(
            f"{path}: {key} = {value!r}; expected a value of type {KINDS[key].__name__}"
        )
    if key == "classes" and not _are_classes(value):
        raise DataProblem(
            f"{path}: classes = {value}; expected 2 to 256 different names in quotes, background first"
        )
    if key == "labels" and not _are_classes(value):
        raise DataProblem(
            f"{path}: labels = {value}; expected 2 to 256 different names in quotes, that of 0 first"
        )
    if key == "spacing" and not _is_spacing(value):
        raise DataProblem(
            f"{path}: spacing = {value}; expected [height, width] of a pixel in mm, above 0"
        )


def _are_classes(value: list[Any]) -> bool:
    return (
        all(isinstance(name, str) and name for name in value)
        and 2 <= len(set(value)) == len(value) <= 256
    )


def _is_spacing(value: list[Any]) -> bool:
    return len(value) == 2 and all(type(step) in (int, float) and 0 < step < inf for step in value)


def read_table(path: Path, column: str, cases: Collection[str]) -> Table | None:
    """The column by case, one line for every case; None without the file. Raises DataProblem."""
    if not path.is_file():
        return None
    table = Table(path)
    for line, case, value in _lines(path, column):
        if case not in cases:
            raise DataProblem(
                f"{path} line {line}: unknown case '{case}'; expected the name of an image without its "
                f"ending, such as {some(list(cases)[:1])}"
            )
        if case in table.lines:
            first = table.lines[case]
            raise DataProblem(
                f"{path} line {line}: case '{case}' again; expected it once, as in line {first}"
            )
        if not value:
            raise DataProblem(
                f"{path} line {line}: no {column} given for case '{case}'; expected one"
            )
        table.values[case], table.lines[case] = value, line
    absent = [case for case in cases if case not in table.values]
    if absent:
        raise DataProblem(
            f"{path}: {len(absent)} cases have no line ({some(absent)}); expected one for each image"
        )
    return table


def _lines(path: Path, column: str) -> Iterator[tuple[int, str, str]]:
    """Line number, case and value of each line below the header."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # Excel writes a byte order mark
            rows = csv.DictReader(file, skipinitialspace=True)
            header = [name.strip() for name in rows.fieldnames or []]
            if not {"case", column} <= set(header):
                raise DataProblem(
                    f"{path} line 1: columns {', '.join(header) or 'none'}; expected case,{column}"
                )
            rows.fieldnames = header
            for row in rows:
                yield rows.line_num, (row["case"] or "").strip(), (row[column] or "").strip()
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataProblem(
            f"{path}: cannot be read ({error}); expected a CSV file in UTF-8"
        ) from error


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Number and text of each line that is not blank. Raises DataProblem where there is no such text file."""
    if not path.is_file():
        raise DataProblem(
            f"no file {path}; expected a text file with one entry a line; copy it there"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataProblem(
            f"{path}: cannot be read ({error}); expected a text file in UTF-8"
        ) from error
    return [
        (number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()
    ]
