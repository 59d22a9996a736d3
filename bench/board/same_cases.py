"""Rows are compared case by case: score tables of other cases are refused before that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.board.rows import RowCells
from bench.errors import BenchError
from bench.names import RowId
from bench.scoring.tables import Scores

REMEDY = "'verify' names the table; restore it, or remove scores/ of its cell and run 'score'"
Place = tuple[str, str, int]  # task, data set, fold


def check_same_cases(rows: Sequence[RowCells]) -> None:
    """Raise BenchError where two score tables of one data set, or fold of it, differ in cases."""
    seen: dict[Place, tuple[RowId, frozenset[str]]] = {}
    for cells in rows:
        tables: Mapping[int, object] = cells.fold_scores or cells.scores
        for subset, scores in tables.items():
            if not isinstance(scores, Scores):
                continue
            fold = subset % cells.folds if cells.fold_scores else 0
            cases = frozenset(scores.cases.names.tolist())
            place = (cells.row.task, cells.row.dataset, fold)
            first, expected = seen.setdefault(place, (cells.row, cases))
            if cases != expected:
                differing = sorted(cases ^ expected)
                raise BenchError(
                    f"score tables of {first.method} and {cells.row.method} on {cells.row.dataset} "
                    f"differ in {len(differing)} cases, such as {differing[0]!r}; {REMEDY}"
                )
