"""Scores of predictions and of pseudo-healthy images -> rows of the board, for one budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.board.rows import (
    RowCells,
    empty_row,
    find_reference,
    matrix_of,
    seed_name,
    shared_subsets,
    status_of,
    with_interval,
    with_rank,
)
from bench.board.schema import HEADLINE, ColumnFacts, Row
from bench.names import RowId
from bench.scoring.tables import cases_of, pseudo_healthy_matrix, score_matrix
from bench.stats.ranking import RankDistribution, rank_distributions

Matrix = NDArray[np.float64]  # patients x subsets


def case_rows(group: Sequence[RowCells], column: ColumnFacts, reference: str) -> list[Row]:
    """Rows of a metric of all predictions, with ranks."""
    matrices = {cells.row: matrix_of(cells, column.key, sorted(cells.scores)) for cells in group}
    ranks = _rank(group, column, matrices)
    rows = []
    for cells in group:
        row = _scored_row(cells, column, column.key, matrices[cells.row])
        rows.append(with_rank(row, ranks.get(cells.row)))
    return rows


def gain_rows(group: Sequence[RowCells], column: ColumnFacts, reference: str) -> list[Row]:
    """Paired differences of the headline to the reference, over the subsets that both have."""
    rows = []
    for cells in group:
        base = find_reference(cells, group, reference)
        if cells.selected or base is None or base is cells:
            continue
        headline = HEADLINE[cells.row.task]
        difference = _headline_gain(cells, base, headline)
        row = _scored_row(cells, column, headline, difference)
        if row.status in ("ok", "not_applicable") and not cells.refusal:
            row = _no_better_than(base, row, column)
        rows.append(row)
    return rows


def augmented_rows(group: Sequence[RowCells], column: ColumnFacts, reference: str) -> list[Row]:
    """Dice of the segmenter that was trained on synthetic images too."""
    rows = []
    for cells in _augmenting(group):
        scores = [cells.augmented[subset] for subset in sorted(cells.augmented)]
        matrix = score_matrix(scores, "dice")
        rows.append(_augmented_row(cells, column, matrix))
    return rows


def augmented_gain_rows(
    group: Sequence[RowCells], column: ColumnFacts, reference: str
) -> list[Row]:
    """Paired differences of that Dice to the reference's."""
    rows = []
    for cells in _augmenting(group):
        base = find_reference(cells, group, reference)
        matrix = _augmented_gain(cells, base) if base is not None else None
        rows.append(_augmented_row(cells, column, matrix))
    return rows


def pseudo_healthy_rows(
    group: Sequence[RowCells], column: ColumnFacts, reference: str
) -> list[Row]:
    """Rows of methods that take lesions out of images, by their pseudo-healthy test images."""
    rows = []
    for cells in group:
        if not cells.pseudo_healthy or cells.selected:
            continue
        scores = [scores for _, scores in sorted(cells.pseudo_healthy_scores.items())]
        matrix = pseudo_healthy_matrix(scores, column.key)
        if matrix is None:
            rows.append(_without_pseudo_healthy_images(cells, column))
        else:
            status, reason = status_of(cells, column, True)
            row = empty_row(cells, column, status, reason)
            rows.append(with_interval(row, matrix, len(scores[0].group)))
    return rows


def _scored_row(cells: RowCells, column: ColumnFacts, metric: str, matrix: Matrix | None) -> Row:
    """The row of a matrix; `metric` is the one whose cases are counted."""
    status, reason = status_of(cells, column, matrix is not None)
    row = empty_row(cells, column, status, reason)
    if matrix is None:
        return row
    return with_interval(row, matrix, cases_of(cells.some_scores, metric))


def _rank(
    group: Sequence[RowCells], column: ColumnFacts, matrices: Mapping[RowId, Matrix | None]
) -> dict[RowId, RankDistribution]:
    """Ranks over the subsets that all methods have; none where there is no such subset."""
    ranked = [c for c in group if matrices[c.row] is not None and not c.selected]
    shared = shared_subsets(ranked)
    tables = {}
    for cells in ranked:
        matrix = matrices[cells.row]
        if len(cells.scores) > len(shared):
            matrix = matrix_of(cells, column.key, shared)
        if matrix is not None:
            tables[seed_name(cells.row)] = matrix
    distributions = rank_distributions(tables, column.better == "higher")
    rows = {seed_name(cells.row): cells.row for cells in ranked}
    return {rows[name]: distribution for name, distribution in distributions.items()}


def _headline_gain(cells: RowCells, base: RowCells, headline: str) -> Matrix | None:
    shared = shared_subsets([cells, base])
    own = matrix_of(cells, headline, shared)
    other = matrix_of(base, headline, shared)
    return None if own is None or other is None else own - other


def _no_better_than(base: RowCells, row: Row, column: ColumnFacts) -> Row:
    """A gain is no more certain than the reference that it is measured from."""
    status, reason = status_of(base, column, bool(base.scores))
    if status == "ok":
        return replace(row, status="ok", reason=None)
    return replace(row, status=status, reason=f"reference {base.row.method}: {reason}")


def _augmenting(group: Sequence[RowCells]) -> list[RowCells]:
    return [c for c in group if c.pseudo_healthy and c.augmented and not c.selected]


def _augmented_gain(cells: RowCells, base: RowCells) -> Matrix | None:
    shared = sorted(set(cells.augmented) & set(base.scores))
    own = score_matrix([cells.augmented[subset] for subset in shared], "dice")
    other = matrix_of(base, "dice", shared)
    return None if own is None or other is None else own - other


def _augmented_row(cells: RowCells, column: ColumnFacts, matrix: Matrix | None) -> Row:
    status, reason = status_of(cells, column, matrix is not None)
    row = empty_row(cells, column, status, reason)
    if matrix is None:
        return row
    some_scores = next(iter(cells.augmented.values()))
    return with_interval(row, matrix, cases_of(some_scores, "dice"))


def _without_pseudo_healthy_images(cells: RowCells, column: ColumnFacts) -> Row:
    """The row that has no number, and why."""
    status, reason = status_of(cells, column, False)
    row = empty_row(cells, column, status, reason)
    is_done = row.status == "not_applicable" and not cells.refusal
    if not is_done or cells.pseudo_healthy_scores:
        return row
    reasons = [judgement.reason for judgement in cells.judgements.values() if judgement.reason]
    why = reasons[0] if reasons else "run 'report'"
    return replace(row, status="missing", reason=f"not judged: {why}")
