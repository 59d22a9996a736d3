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
    folds_of_patients,
    matrix_of,
    seed_name,
    status_of,
    with_rank,
)
from bench.board.schema import HEADLINE, ColumnFacts, Row
from bench.board.scores.outer_folds import folds_of, patients_behind
from bench.board.shared_draws import (
    Budget,
    PairedGain,
    SharedDraws,
    find_bases,
    method_table,
    paired_gains,
    untested_gain,
)
from bench.names import DEFAULT, TUNED, RowId
from bench.scoring.pseudo_healthy_scores import PseudoHealthyScores, pseudo_healthy_matrix
from bench.scoring.tables import cases_of, score_matrix
from bench.stats import intervals
from bench.stats.intervals import Folds
from bench.stats.ranking import RankDistribution
from bench.stats.shared_variance import SharedVariance, share_variance
from bench.stats.verdicts import Gain, gains_over_references

Matrix = NDArray[np.float64]  # patients x subsets


def case_rows(budget: Budget, column: ColumnFacts, reference: str) -> list[Row]:
    """Rows of a metric of all predictions, with ranks."""
    ranks = _rank(budget, column)
    rows = []
    for cells in budget.rows:
        matrix = matrix_of(cells, column.key, sorted(cells.scores))
        row = _scored_row(cells, column, column.key, matrix)
        rows.append(with_rank(row, ranks.get(cells.row)))
    return rows


def gain_rows(budget: Budget, column: ColumnFacts, reference: str) -> list[Row]:
    """Paired differences of the headline to the reference, over the subsets that both have."""
    bases = find_bases(budget, reference)
    gains = paired_gains(budget, bases, HEADLINE[budget.task], True)
    rows = []
    for cells in budget.rows:
        base = bases.get(cells.row)
        if base is None:
            continue
        row = _gain_row(cells, column, gains.get(cells.row))
        if row.status in ("ok", "not_applicable") and not cells.refusal:
            row = _no_better_than(base, row, column)
        rows.append(row)
    return rows


def augmented_rows(budget: Budget, column: ColumnFacts, reference: str) -> list[Row]:
    """Dice of the segmenter that was trained on synthetic images too."""
    rows = []
    for cells in _augmenting(budget):
        scores = [cells.augmented[subset] for subset in sorted(cells.augmented)]
        matrix = score_matrix(scores, "dice")
        rows.append(_augmented_row(cells, column, matrix))
    return rows


def augmented_gain_rows(budget: Budget, column: ColumnFacts, reference: str) -> list[Row]:
    """Paired differences of that Dice to the reference's."""
    gains = _augmented_gains(budget, reference)
    rows = []
    for cells in _augmenting(budget):
        paired = gains.get(cells.row)
        row = _augmented_row(cells, column, None)
        if paired is not None:
            row = _augmented_row(cells, column, paired.differences)
            row = _with_paired_gain(row, paired, row.n_cases)
        rows.append(row)
    return rows


def pseudo_healthy_rows(budget: Budget, column: ColumnFacts, reference: str) -> list[Row]:
    """Rows of methods that take lesions out of images, by their pseudo-healthy test images."""
    rows = []
    for cells in budget.rows:
        if not cells.pseudo_healthy or cells.selected:
            continue
        scores = [scores for _, scores in sorted(cells.pseudo_healthy_scores.items())]
        matrix = pseudo_healthy_matrix(scores, column.key)
        if matrix is None:
            rows.append(_without_pseudo_healthy_images(cells, column))
        else:
            status, reason = status_of(cells, column, True)
            row = empty_row(cells, column, status, reason)
            folds = _folds_of_images(cells, scores[0], column.key)
            rows.append(_with_interval(row, matrix, len(scores[0].group), folds))
    return rows


def _folds_of_images(cells: RowCells, scores: PseudoHealthyScores, metric: str) -> Folds:
    """The outer fold of each patient behind a metric of images; None without outer folds."""
    if cells.folds == 1:
        return None
    return folds_of(patients_behind(scores, metric), cells.fold_scores, cells.folds)


def _scored_row(cells: RowCells, column: ColumnFacts, metric: str, matrix: Matrix | None) -> Row:
    """The row of a matrix; `metric` is the one whose cases are counted."""
    status, reason = status_of(cells, column, matrix is not None)
    row = empty_row(cells, column, status, reason)
    if matrix is None:
        return row
    folds = folds_of_patients(cells, metric)
    return _with_interval(row, matrix, cases_of(cells.some_scores, metric), folds)


def _gain_row(cells: RowCells, column: ColumnFacts, paired: PairedGain | None) -> Row:
    status, reason = status_of(cells, column, paired is not None)
    row = empty_row(cells, column, status, reason)
    if paired is None:
        return row
    n_cases = cases_of(cells.some_scores, HEADLINE[cells.row.task])
    return _with_paired_gain(row, paired, n_cases)


def _with_paired_gain(row: Row, paired: PairedGain, n_cases: int) -> Row:
    row = _with_gain(row, paired.gain, paired.shape, n_cases)
    if paired.is_tested:
        return row
    return replace(row, verdict=None, adjusted_lo=None, adjusted_hi=None, p=None)


def _rank(budget: Budget, column: ColumnFacts) -> dict[RowId, RankDistribution]:
    """Ranks over the subsets that all methods have; none where there is no such subset."""
    draws = budget.draws(column.key, column.better == "higher")
    if not draws.tables:
        return {}
    return {draws.rows[name].row: rank for name, rank in draws.ranks.items()}


def _no_better_than(base: RowCells, row: Row, column: ColumnFacts) -> Row:
    """A gain is no more certain than the reference that it is measured from."""
    status, reason = status_of(base, column, bool(base.scores))
    if status == "ok":
        return replace(row, status="ok", reason=None)
    return replace(row, status=status, reason=f"reference {base.row.method}: {reason}")


def _augmenting(budget: Budget) -> list[RowCells]:
    return [c for c in budget.rows if c.pseudo_healthy and c.augmented and not c.selected]


def _may_still_augment(budget: Budget) -> list[RowCells]:
    """The rows with runs to come, whose gain of augmentation is planned; others have theirs."""
    rows = [c for c in budget.rows if c.pseudo_healthy and not c.selected and not c.refusal]
    return [cells for cells in rows if len(cells.scores) < cells.draws]


def _augmented_gains(budget: Budget, reference: str) -> dict[RowId, PairedGain]:
    """The gain of each segmenter trained on synthetic images too.

    Its variance between draws is shared with all predictions of the budget: they are trained on
    the same draws.
    """
    draws = budget.draws("dice")
    augmented: dict[str, RowCells] = {}
    tables: dict[str, Matrix] = {}
    references = {}
    gains = {}
    for cells in _augmenting(budget):
        base = find_reference(cells, budget.rows, reference)
        if base is None:
            continue
        subsets, is_compared = _subsets_to_pair(cells, base, draws)
        own = score_matrix([cells.augmented[subset] for subset in subsets], "dice")
        other = matrix_of(base, "dice", subsets)
        if own is None or other is None:
            continue
        if is_compared:
            label = _augmented_label(cells.row)
            augmented[label] = cells
            tables[label] = own
            references[label] = seed_name(base.row)
        else:
            gains[cells.row] = untested_gain(own, other, subsets, True, _folds_of_dice(cells))
    if references:
        shared = _share_with_augmented(draws, augmented, tables)
        tested = [augmented[label].row for label in references]
        to_come = sum(cells.row not in tested for cells in _may_still_augment(budget))
        by_label = gains_over_references(shared, references, True, to_come)
        for label, paired in _paired_with_augmented(draws, tables, by_label).items():
            gains[augmented[label].row] = paired
    return gains


def _subsets_to_pair(
    cells: RowCells, base: RowCells, draws: SharedDraws
) -> tuple[Sequence[int], bool]:
    """The draws of an augmented row and its base, and whether they are those of the budget."""
    common = sorted(cells.augmented.keys() & base.scores.keys())
    if seed_name(base.row) in draws.tables and set(draws.subsets) <= set(common):
        return draws.subsets, True
    return common, False


def _paired_with_augmented(
    draws: SharedDraws, tables: Mapping[str, Matrix], gains: Mapping[str, Gain]
) -> dict[str, PairedGain]:
    """The gains of augmented segmenters with the differences behind them."""
    paired = {}
    for label, gain in gains.items():
        differences = tables[label] - draws.tables[gain.reference]
        paired[label] = PairedGain(differences, gain, draws.subsets, True, draws.folds)
    return paired


def _share_with_augmented(
    draws: SharedDraws, augmented: Mapping[str, RowCells], tables: Mapping[str, Matrix]
) -> SharedVariance:
    methods = list(draws.shared.tables.values())
    for label, cells in augmented.items():
        default = _augmented_label(cells.row._replace(variant=DEFAULT))
        is_twin = cells.row.variant == TUNED and default in tables
        twin_of = default if is_twin else None
        method = method_table(label, tables[label], cells, twin_of)
        methods.append(replace(method, folds=draws.folds))
    return share_variance(methods)


def _augmented_label(row: RowId) -> str:
    return f"{seed_name(row)}\naugmented"


def _augmented_row(cells: RowCells, column: ColumnFacts, matrix: Matrix | None) -> Row:
    status, reason = status_of(cells, column, matrix is not None)
    row = empty_row(cells, column, status, reason)
    if matrix is None:
        return row
    some_scores = next(iter(cells.augmented.values()))
    return _with_interval(row, matrix, cases_of(some_scores, "dice"), _folds_of_dice(cells))


def _folds_of_dice(cells: RowCells) -> Folds:
    return folds_of_patients(cells, "dice")


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


def _with_interval(row: Row, matrix: NDArray[np.float64], n_cases: int, folds: Folds = None) -> Row:
    """The row with the mean of patients x subsets, and its interval from 5 draws on.

    With outer folds, the draws of all folds count.
    """
    interval = intervals.mean_with_interval_if_known(matrix, folds)
    n_groups, draws = matrix.shape
    n_subsets = draws * intervals.fold_count(folds)
    return replace(
        row,
        mean=interval.mean,
        lo=interval.lo,
        hi=interval.hi,
        interval=interval.kind,
        n_cases=n_cases,
        n_groups=n_groups,
        n_subsets=n_subsets,
    )


def _with_gain(row: Row, gain: Gain, shape: tuple[int, ...], n_cases: int) -> Row:
    """The row with a gain over the reference; `shape` is patients x draws behind it."""
    n_groups, n_subsets = shape
    return replace(
        row,
        mean=gain.mean,
        lo=gain.lo,
        hi=gain.hi,
        interval=intervals.kind_of_difference(n_groups, n_subsets, gain.p is not None),
        n_cases=n_cases,
        n_groups=n_groups,
        n_subsets=n_subsets,
        verdict=gain.verdict,
        adjusted_lo=gain.bar_lo,
        adjusted_hi=gain.bar_hi,
        p=gain.adjusted_p,
    )
