"""Score tables from elsewhere: what no metric gives is refused before any mean is taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 1e100  # of a score; means of larger ones would overflow
SCORE_AGAIN = "run 'score'"


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
    for column in sorted(numbers):
        odd = np.flatnonzero(np.abs(frame[column].to_numpy()) > LARGEST)  # NaN: not defined
        if odd.size:
            raise BenchError(
                f"{files[table[odd[0]]]}: {column} of case {frame['case'].iloc[odd[0]]} is "
                f"{frame[column].iloc[odd[0]]:g}; expected a score; {SCORE_AGAIN}"
            )
