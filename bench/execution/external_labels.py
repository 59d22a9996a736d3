"""Labels predicted elsewhere as a cell: a table of probabilities, copied without training."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.cell_folder import CellFolder
from bench.cell_records import CellResult
from bench.data.index import Index
from bench.errors import BenchError, shown
from bench.execution import attempts
from bench.execution.prediction.images import ending_of, stem_of
from bench.files import csv_text
from bench.store import PROBABILITIES

TABLE = "labels.csv"  # as `predict` writes it: image,label, then a column for each label
NAMES = ("image", "case")  # of the first column


def take_over_labels(folder: CellFolder, predictions: Path, index: Index) -> None:
    """Copy probabilities into the folder of a cell; missing and unusable ones count as worst.

    Raises BenchError where there is no table, or one without a column for each label.
    """
    table = read_table(predictions / TABLE, index.card.labels)

    def copy(attempt: Path) -> None:
        _copy(CellFolder(attempt), table, index)

    attempts.run(folder, copy)


def _copy(folder: CellFolder, table: Mapping[str, Sequence[str]], index: Index) -> None:
    ids: list[str] = []
    values: list[NDArray[np.float64]] = []
    problems: list[str] = []
    files = _files_by_case(table, {_normal(entry.id) for entry in index.test})
    for entry in index.test:
        name = _normal(entry.id)
        lines = [name] if name in table else files.get(name, [])
        probabilities, problem = _find_probabilities(table, lines)
        if probabilities is None:
            problems.append(f"{entry.id}: {problem}")
        else:
            ids.append(entry.id)
            values.append(probabilities)
    target = folder.predictions("last")
    target.mkdir(parents=True)
    count = len(index.card.labels)
    array = np.array(values).reshape(len(values), count)
    np.savez_compressed(target / PROBABILITIES, ids=np.array(ids, str), probabilities=array)
    folder.write_result(CellResult(folder.key, len(ids), problems=problems))


def _files_by_case(names: Iterable[str], cases: Set[str]) -> dict[str, list[str]]:
    """The names of image files that are no cases themselves, by their name without an ending."""
    files: dict[str, list[str]] = {}
    for name in names:
        file = Path(name)
        if ending_of(file) and name not in cases:
            files.setdefault(stem_of(file), []).append(name)
    return files


def _find_probabilities(
    table: Mapping[str, Sequence[str]], lines: Sequence[str]
) -> tuple[NDArray[np.float64] | None, str]:
    """The probabilities of a case that has these lines, or why there are none."""
    if not lines:
        return None, f"no line in {TABLE}"
    if len(lines) > 1:
        return None, f"{' and '.join(lines)} are both there, expected one line for each case"
    return _checked(table[lines[0]])


def read_table(file: Path, labels: Sequence[str]) -> dict[str, list[str]]:
    """The probability of each label as text, by the name in the first column.

    Raises BenchError where the table cannot be used.
    """
    header, rows = _read_rows(file)
    is_complete = bool(header) and header[0] in NAMES and set(labels) <= set(header[1:])
    if not is_complete or any(len(row) != len(header) for row in rows):
        raise BenchError(
            f"predictions {file} given; expected the columns image and {', '.join(labels)} in "
            "every line, as 'predict' writes them; add or rename columns"
        )
    repeated = [label for label in labels if header[1:].count(label) > 1]
    if repeated:
        raise BenchError(
            f"predictions {file} given; column {shown(repeated[0])} is there twice; remove one"
        )
    columns = [header.index(label, 1) for label in labels]
    table: dict[str, list[str]] = {}
    for row in rows:
        name = _normal(csv_text.unquote_formula(row[0]))
        if name in table:
            raise BenchError(f"predictions {file} given; {name} is there twice; remove one")
        table[name] = [row[column] for column in columns]
    return table


def _read_rows(file: Path) -> tuple[list[str], list[list[str]]]:
    """The header of a table, and the lines below. Raises BenchError where it is none."""
    try:
        rows = csv_text.read_rows(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, csv.Error) as problem:
        raise BenchError(
            f"predictions {file} given; it cannot be read ({problem}); expected a CSV file"
        ) from None
    header, *others = rows or [[]]
    return [csv_text.unquote_formula(name) for name in header], others


def _normal(name: str) -> str:
    """A name in the one form of Unicode in which names are compared."""
    return unicodedata.normalize("NFC", name)


def _checked(row: Sequence[str]) -> tuple[NDArray[np.float64] | None, str]:
    """The probabilities in a line, or why they are none."""
    try:
        values = np.array(row, float)
    except ValueError:
        return None, "probabilities that are no numbers"
    # Not so where a value is NaN.
    in_range = values.min() >= 0 and values.max() <= 1 and abs(values.sum() - 1) < 0.01
    if not in_range:
        return None, "values that are no probabilities, which lie in 0 to 1 and sum to 1"
    return values, ""
