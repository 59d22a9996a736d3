"""What a user may write beside images: tables by case, and lists of lines."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import DataProblem, cut
from datasets.readers.pairing import first_names, normal_name


@dataclass(frozen=True, slots=True)
class Table:
    """One column of a CSV file by case, and the line number of each case."""

    path: Path
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def problem(self, case: str, given: str, expected: str) -> DataProblem:
        """A problem with the line of one case."""
        return DataProblem(
            f"{self.path} line {self.lines[case]}: {given}; expected {expected}; fix that line"
        )


def is_given(path: Path) -> bool:
    """Whether an optional file is there. Raises DataProblem on anything else of its name.

    A broken link or a pipe is not taken for a file that was left out.
    """
    if path.is_file():
        return True
    if path.is_symlink() or path.exists():
        raise DataProblem(
            f"{path}: a broken link, folder, pipe or device; expected a file; "
            "remove it or copy the file there"
        )
    return False


def read_table(path: Path, column: str, cases: Collection[str]) -> Table | None:
    """One column by case, with a line for every case; None without the file. Raises DataProblem."""
    if not is_given(path):
        return None
    table = Table(path)
    for line, case, value in _read_rows(path, column):
        _check_row(table, line, case, cases)
        if not value:
            raise DataProblem(
                f"{path} line {line}: no {column} given for case '{case}'; expected one; add it"
            )
        table.values[case] = value
        table.lines[case] = line
    absent = [case for case in cases if case not in table.values]
    if absent:
        raise DataProblem(
            f"{path}: {len(absent)} cases have no line ({first_names(absent)}); "
            "expected one for each image; add them"
        )
    return table


def _check_row(table: Table, line: int, case: str, cases: Collection[str]) -> None:
    """Raise DataProblem on a case that is unknown or was listed before."""
    if case not in cases:
        example = first_names(list(cases)[:1])
        raise DataProblem(
            f"{table.path} line {line}: unknown case '{case}'; expected the name of an image "
            f"without its ending, such as {example}; rename or remove it"
        )
    if case in table.lines:
        raise DataProblem(
            f"{table.path} line {line}: case '{case}' again; expected it once, "
            f"as in line {table.lines[case]}; remove one of the lines"
        )


def _read_rows(path: Path, column: str) -> Iterator[tuple[int, str, str]]:
    """Line number, case and value of each line below the header."""
    header, rows = read_csv(path)
    if not {"case", column} <= set(header):
        given = ", ".join(header) or "none"
        raise DataProblem(f"{path} line 1: columns {given}; expected case,{column}; fix the header")
    for line, row in rows:
        yield line, row["case"], row[column]


def read_csv(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The header of a CSV file, and the number and cells of each line below. Raises DataProblem.

    Cells that a line lacks are empty; all are stripped, and in NFC. Columns without a name, which
    spreadsheets add, are passed over where they are empty.
    """
    lines: list[tuple[int, dict[str, str]]] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # Excel writes a byte order mark
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            rows = filter(None, reader)
            header = [normal_name(name).strip() for name in next(rows, [])]
            _refuse_repeated_columns(path, header)
            for row in rows:
                lines.append((reader.line_num, _cells(path, reader.line_num, header, row)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataProblem(
            f"{path}: cannot be read ({error}); expected a CSV file in UTF-8; save it as one"
        ) from error
    return [name for name in header if name], lines


def _refuse_repeated_columns(path: Path, header: Sequence[str]) -> None:
    """Raise DataProblem where two columns have one name, whichever case it is written in.

    Also where tabs stand between columns.
    """
    if any("\t" in name for name in header):
        raise DataProblem(
            f"{path} line 1: tabs between columns; expected commas; save it as a CSV file"
        )
    first: set[str] = set()
    for name in header:
        if name and name.lower() in first:
            raise DataProblem(
                f"{path} line 1: column '{cut(name)}' again; expected each once; "
                "rename or remove one"
            )
        first.add(name.lower())


def _cells(path: Path, line: int, header: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    """The cells of a line by column. Raises DataProblem on a cell without a column."""
    cells = [_cell(path, line, text) for text in row]
    names = [*header, *[""] * (len(cells) - len(header))]
    for name, cell in zip(names, cells, strict=False):
        if cell and not name:
            raise DataProblem(
                f"{path} line {line}: '{cut(cell)}' stands in no column; expected cells of "
                f"{', '.join(filter(None, header))}; put text that holds a comma in quotes, or fix "
                "the header"
            )
    cells += [""] * (len(header) - len(cells))
    return {name: cell for name, cell in zip(header, cells, strict=False) if name}


def _cell(path: Path, line: int, text: str) -> str:
    """What stands in a cell, in NFC. Raises DataProblem on characters that nobody sees there.

    Two names that look the same would be two patients.
    """
    cell = normal_name(text).strip()
    if not cell.isprintable():
        raise DataProblem(
            f"{path} line {line}: {cut(ascii(cell))} holds a character that is not printed; "
            "expected letters, digits, signs and blanks; type that cell anew"
        )
    return cell


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Line number (from 1) and text of each line that is not blank. Raises DataProblem."""
    if not path.is_file():
        raise DataProblem(
            f"no file {path}; expected a text file with one entry per line; copy it there"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataProblem(
            f"{path}: cannot be read ({error}); expected a text file in UTF-8; save it as one"
        ) from error
    numbered = enumerate(text.splitlines(), 1)
    return [(number, line.strip()) for number, line in numbered if line.strip()]
