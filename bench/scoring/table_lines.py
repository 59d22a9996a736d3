"""The lines of score tables: what no metric gives is refused before any mean is taken."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError, shown

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 1e100  # of a score; means of larger ones would overflow
SCORE_AGAIN = "run 'score'"


def read_rows(file: Path) -> list[dict[str, str]]:
    """The lines of a score table, as text by column."""
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def check_lines(
    frame: pd.DataFrame, table: NDArray[np.intp], files: Sequence[Path], numbers: Iterable[str]
) -> None:
    """Raise BenchError for a pair of case and class given twice, and for a number that is none.

    `table` says which file each line is of, `numbers` which columns hold scores.
    """
    pairs = frame[["case", "class"]].assign(table=table) if "class" in frame else None
    if pairs is not None and pairs.duplicated().any():
        first = int(np.flatnonzero(pairs.duplicated())[0])
        raise BenchError(
            f"{files[table[first]]} holds case {frame['case'].iloc[first]}, "
            f"class {frame['class'].iloc[first]} twice; {SCORE_AGAIN}"
        )
    columns = sorted(numbers)
    is_odd = np.abs(frame[columns].to_numpy()) > LARGEST  # NaN: not defined
    if is_odd.any():
        line, column = map(int, np.argwhere(is_odd)[0])
        raise BenchError(
            f"{files[table[line]]}: {columns[column]} of case {frame['case'].iloc[line]} is "
            f"{frame[columns[column]].iloc[line]:g}; expected a score; {SCORE_AGAIN}"
        )


def read_label_lines(file: Path) -> list[dict[str, str]]:
    """The lines of a table of classification.

    Raises BenchError for a case given twice, and where labels or probabilities are no numbers.
    """
    lines = read_rows(file)
    try:
        for line in lines:
            _ = line["case"], line["group"], int(line["label"]), int(line["predicted"])
        widths = {len(list(map(float, line["probabilities"].split()))) for line in lines}
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise BenchError(f"{file} is no score table ({shown(problem)}); {SCORE_AGAIN}") from None
    if len(widths) != 1:
        raise BenchError(
            f"{file} is no score table ({shown(sorted(widths))} probabilities a line); "
            f"{SCORE_AGAIN}"
        )
    [(case, count)] = Counter(line["case"] for line in lines).most_common(1)
    if count > 1:
        raise BenchError(f"{file} holds case {case} twice; {SCORE_AGAIN}")
    return lines
