"""What each method scores on each test case: the table behind the scatter, and all as CSV."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from bench.board.rows import RowCells
from bench.board.schema import CaseSeries, CaseTable
from bench.cell_folder import CellFolder
from bench.cell_records import PredictionSet
from bench.files import csv_text
from bench.names import selected_variant
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import Plan, planned_metrics, read_plan
from bench.scoring.tables import LABEL_FIELDS, LabelScores, Scores, score_fields
from bench.store import Store

METRIC = {"segmentation": "Dice", "classification": "Probability of the true label"}
CSV_LABELS = ("task", "dataset", "fraction", "labelled", "method", "variant", "subset")
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
    return dict(zip(scores.names, probabilities.tolist(), strict=True))


# --- all score tables as one


def per_case_csv(store: Store, task: str, known_plan: Plan | None = None) -> str:
    """All score tables of a task as one, each line with its row and subset.

    Empty where the plan, which may have been read before, lacks the task.
    """
    plan = known_plan or read_plan(store.out)
    select = plan.suite.select
    cells = [cell for cell in plan.cells if cell.task == task]
    if not cells:
        return ""
    fields: tuple[str, ...] = LABEL_FIELDS
    if task == "segmentation":
        fields = score_fields(planned_metrics(plan, store.plugins))
    parts = [csv_text.write_rows([(*CSV_LABELS, *fields)])]
    for cell in sorted(cells, key=_csv_order):
        folder = store.cell(cell.key)
        if store.state(cell.key) not in ("done", "failed"):
            continue
        parts.append(_csv_rows(cell, cell.variant, folder, "last"))
        if select and cell.select and folder.scores("last").exists():
            variant = selected_variant(cell.variant, select.by)
            # A failed cell has no chosen checkpoint, and is at its worst here too.
            which: PredictionSet = "best" if folder.scores("best").exists() else "last"
            parts.append(_csv_rows(cell, variant, folder, which))
    return "".join(parts)


def _csv_order(cell: PlannedCell) -> list[str]:
    return [str(getattr(cell, name)) for name in CSV_LABELS]


def _csv_rows(cell: PlannedCell, variant: str, folder: CellFolder, which: PredictionSet) -> str:
    """The lines of one score table, each behind the row and subset that it belongs to."""
    file = folder.scores(which)
    if not file.exists():
        return ""
    labels = (
        cell.task,
        cell.dataset,
        cell.fraction,
        cell.labelled,
        cell.method,
        variant,
        cell.subset,
    )
    return csv_text.rows_behind(file.read_bytes().decode(), labels)
