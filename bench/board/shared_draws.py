"""The methods of one budget with the draws that they share, for differences between them (R4.1b).

Rows whose cells are not all scored are left out: they would take draws from all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.board.rows import RowCells, matrix_of, seed_name, shared_subsets
from bench.names import DEFAULT, TUNED
from bench.stats.shared_variance import MethodTable, SharedVariance, share_variance

Matrix = NDArray[np.float64]  # patients x draws


@dataclass(frozen=True)
class SharedDraws:
    """Methods of one budget by seed name, their scores over the same draws, and those draws."""

    rows: Mapping[str, RowCells]
    tables: Mapping[str, Matrix]
    subsets: Sequence[int]

    def share_variance(self) -> SharedVariance:
        """What the methods tell together about draws."""
        return share_tables(self.rows, self.tables)


def rows_to_compare(rows: Sequence[RowCells]) -> list[RowCells]:
    """The rows with scores of all their cells; all rows where fewer than two have them."""
    scored = [cells for cells in rows if cells.scores and not cells.selected]
    finished = [cells for cells in scored if len(cells.scores) >= len(cells.states)]
    return finished if len(finished) > 1 else scored


def draws_of_all(rows: Sequence[RowCells], metric: str) -> SharedDraws:
    """The rows of one budget that can be compared by a metric; maybe none."""
    defined = [cells for cells in rows if _is_defined(cells, metric)]
    compared = rows_to_compare(defined)
    subsets = shared_subsets(compared)
    tables = {}
    for cells in compared:
        table = matrix_of(cells, metric, subsets)
        if table is not None:
            tables[seed_name(cells.row)] = table
    by_name = {seed_name(cells.row): cells for cells in compared}
    return SharedDraws({name: by_name[name] for name in tables}, tables, subsets)


def _is_defined(cells: RowCells, metric: str) -> bool:
    if not cells.scores:
        return False
    return matrix_of(cells, metric, sorted(cells.scores)) is not None


def share_tables(rows: Mapping[str, RowCells], tables: Mapping[str, Matrix]) -> SharedVariance:
    """Pools the draw variance of tables by seed name.

    Scores of failed cells count as worst and stay out of the pool.
    """
    methods = []
    for name, table in tables.items():
        cells = rows[name]
        methods.append(method_table(name, table, cells, _default_name(cells, tables)))
    return share_variance(methods)


def method_table(label: str, table: Matrix, cells: RowCells, twin_of: str | None) -> MethodTable:
    """The scores of a row, pooled unless any of its cells failed."""
    is_pooled = not (cells.failures or cells.unusable)
    return MethodTable(label, table, pooled=is_pooled, twin_of=twin_of)


def _default_name(cells: RowCells, tables: Mapping[str, Matrix]) -> str | None:
    """The seed name of the row with defaults that a tuned row belongs to, if it has scores."""
    if cells.row.variant != TUNED:
        return None
    name = seed_name(cells.row._replace(variant=DEFAULT))
    return name if name in tables else None
