"""What each method scores on each test case: the table behind the scatter of cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from bench.board.rows import RowCells
from bench.board.schema import CaseSeries, CaseTable
from bench.scoring.tables import LabelScores, Scores

METRIC = {"segmentation": "Dice", "classification": "Probability of the true label"}
DIGITS = 4  # for drawing; the tables of cases have every digit


def case_tables(rows: Sequence[RowCells]) -> list[CaseTable]:
    """The cases of each task on each dataset, and the means of each row over label subsets."""
    scored: dict[tuple[str, str], list[RowCells]] = defaultdict(list)
    for cells in rows:
        if cells.scores:
            scored[cells.row.task, cells.row.dataset].append(cells)
    tables = [_case_table(task, dataset, group) for (task, dataset), group in scored.items()]
    return [table for table in tables if table.cases]


def _case_table(task: str, dataset: str, group: Sequence[RowCells]) -> CaseTable:
    means = [_mean_by_case(cells) for cells in group]
    cases: set[str] = set()
    cases.update(*means)
    ordered = sorted(cases)
    series = []
    for cells, values in zip(group, means, strict=True):
        series.append(_case_series(cells, values, ordered))
    return CaseTable(task, dataset, METRIC[task], ordered, series)


def _case_series(cells: RowCells, means: Mapping[str, float], cases: Sequence[str]) -> CaseSeries:
    rounded = {case: round(mean, DIGITS) for case, mean in means.items()}
    return CaseSeries(
        labelled=cells.row.labelled,
        fraction=cells.fraction,
        method=cells.row.method,
        variant=cells.row.variant,
        n_subsets=len(cells.scores),
        values=[rounded.get(case) for case in cases],
    )


def _mean_by_case(cells: RowCells) -> dict[str, float]:
    """Mean over subsets of each case that has the metric; all subsets share their test cases."""
    subsets = [per_case(scores) for scores in cells.scores.values()]
    means = {}
    for case in subsets[0]:
        means[case] = float(np.mean([values[case] for values in subsets]))
    return means


def per_case(scores: Scores | LabelScores) -> dict[str, float]:
    """Dice of each case, or the probability that its true label was given."""
    if isinstance(scores, Scores):
        return scores.per_case("dice")
    positions = np.arange(len(scores.label))
    probabilities = scores.probabilities[positions, scores.label]
    return dict(zip(scores.case, probabilities.tolist(), strict=True))
