"""Score tables of cells on other data sets -> rows of the board, compared as the main rows are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace

from bench.board.columns import Column
from bench.board.rows import RowCells, rows_by_budget
from bench.board.schema import ElsewhereRow, Row
from bench.board.shared_draws import Budget
from bench.cell_folder import State
from bench.metrics.case_metric import CaseMetric
from bench.names import EXTERNAL
from bench.scoring.elsewhere import ElsewhereFolder
from bench.scoring.tables import LabelScores, Scores, read_draws
from bench.store import Store

NO_MODEL = "predictions from elsewhere come without a model to test on other data"


def elsewhere_rows(
    store: Store,
    rows: Sequence[RowCells],
    datasets: Iterable[str],
    columns: Sequence[Column],
    metrics: Sequence[CaseMetric],
    reference: str,
) -> list[ElsewhereRow]:
    """The numbers of all rows on each of some data sets that they were not trained on."""
    numbers: list[ElsewhereRow] = []
    shown = [row for row in rows if not row.selected and not row.ladder]
    scored = [column for column in columns if column.kind in ("case", "gain")]
    for dataset in datasets:
        for group in rows_by_budget(shown):
            trained_on = group[0].row.dataset
            if trained_on == dataset:
                continue
            moved = [_moved(store, row, dataset, metrics) for row in group]
            budget = Budget(moved)
            for column in scored:
                for row in column.rows(budget, reference):
                    numbers.append(_marked(row, trained_on))
    return sorted(numbers, key=_reading_order)


def _reading_order(row: ElsewhereRow) -> tuple[str, str, str, float, str, str]:
    return row.task, row.trained_on, row.dataset, row.fraction, row.method, row.variant


def _marked(row: Row, trained_on: str) -> ElsewhereRow:
    values = {field.name: getattr(row, field.name) for field in fields(Row)}
    return ElsewhereRow(**values, trained_on=trained_on)


def _moved(store: Store, row: RowCells, dataset: str, metrics: Sequence[CaseMetric]) -> RowCells:
    """A row as if it had been tested on another data set only.

    A finished cell that was not tested there yet counts as missing, one whose model fails there as
    failed.
    """
    refusal = row.refusal
    scores: Mapping[int, Scores | LabelScores] = {}
    if row.row.method == EXTERNAL:
        refusal = NO_MODEL
    elif refusal is None:
        scores = _read_scores(store, row, dataset, metrics)
    states: list[State] = []
    failures = list(row.failures)
    for cell, state in zip(row.cells, row.states, strict=True):
        if state == "done" and cell.subset not in scores:
            state = "missing"  # not tested there yet
        elif state == "done":
            failure = ElsewhereFolder(store.cell(cell.key), dataset).read_failure()
            if failure is not None:
                state = "failed"
                failures.append(failure.reason)
        states.append(state)
    return replace(
        row,
        row=row.row._replace(dataset=dataset),
        scores=scores,
        states=states,
        failures=failures,
        refusal=refusal,
        unusable=(),
    )


def _read_scores(
    store: Store, row: RowCells, dataset: str, metrics: Sequence[CaseMetric]
) -> Mapping[int, Scores | LabelScores]:
    files = {}
    for cell in row.cells:
        file = ElsewhereFolder(store.cell(cell.key), dataset).scores
        if file.exists():
            files[cell.subset] = file
    return read_draws(files, row.row.task, metrics)
