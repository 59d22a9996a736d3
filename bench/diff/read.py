"""A result folder as one Side of a comparison: its board built anew, and the scores of patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.board import build
from bench.board.rows import RowCells, row_cells
from bench.board.schema import HEADLINE, Board
from bench.board.scores.outer_folds import patients_behind
from bench.diff.compare import WHOLE_SET, Side, Table
from bench.names import DEFAULT, RowId
from bench.planning.plan_file import Plan, read_plan
from bench.scoring.pseudo_healthy_scores import pseudo_healthy_matrix
from bench.scoring.score_cell import expect_whole_scores
from bench.scoring.tables import LabelScores, Scores, score_matrix
from bench.store import Store, refuse_links
from bench.verify.plain_metrics import OF_PSEUDO_HEALTHY
from bench.verify.recompute import AUGMENTED, SYNTHETIC, synthetic_value

SUITE_LABELS = frozenset({"name", "title", "description"})  # they say nothing of what is run


def read(out: Path, plugins: Sequence[Path] = ()) -> Side:
    """Both sides are built by this version's code, whatever drew their pages. Raises BenchError.

    `plugins` are the files with metrics that the user named.
    """
    store = Store(out, plugins)
    refuse_links(out)
    plan = read_plan(out)
    cells = [cell for cell in plan.cells if not cell.refusal]
    expect_whole_scores(store.cell(cell.key) for cell in cells)
    board = build.build(store)
    rows = row_cells(store, plan)
    tables = _read_tables(rows, board)
    folds = {row.row: _fold_of_patients(row) for row in rows if row.folds > 1}
    return Side(str(out), board, _settings(plan, board), plan.cells, tables, folds)


def _fold_of_patients(row: RowCells) -> dict[str, int]:
    """The outer fold that each patient is tested in."""
    fold_of: dict[str, int] = {}
    for subset, scores in row.fold_scores.items():
        fold_of.update(dict.fromkeys(scores.patients.names.tolist(), subset % row.folds))
    return fold_of


def _settings(plan: Plan, board: Board) -> dict[str, Any]:
    """The settings of a suite, methods by name, and the versions that it ran on."""
    settings = plan.suite.model_dump(mode="json", exclude={*SUITE_LABELS, "methods"})
    methods = {}
    for entry in plan.suite.methods:
        methods[f"{entry.method} ({entry.variant})"] = entry.model_dump(mode="json")
    made_with = dict(board.provenance)
    made_with.pop("started", None)  # the day of a run is no setting
    return {**settings, "methods": methods, "made with": made_with}


def _read_tables(rows: Sequence[RowCells], board: Board) -> dict[tuple[RowId, str], Table]:
    """Scores of each row and metric by subset and patient."""
    extractors = {(row.row_id, row.metric): row.extractor for row in board.rows}
    per_case = {column.key for column in board.columns if column.kind == "case"}
    cells_of = {cells.row: cells for cells in rows}
    tables: dict[tuple[RowId, str], Table] = {}
    for (row, metric), extractor in extractors.items():
        cells = cells_of.get(row)
        if cells is None:
            continue
        if metric in SYNTHETIC:
            tables[row, metric] = _synthetic_table(cells, metric, extractor)
        elif metric in OF_PSEUDO_HEALTHY:
            tables[row, metric] = _pseudo_healthy_table(cells, metric)
        elif metric == AUGMENTED:
            tables[row, metric] = _patient_table(cells.augmented, "dice")
        elif metric in per_case:
            tables[row, metric] = _patient_table(cells.scores, metric)
    for row, metric in extractors:
        gain = _gain_table(tables, row, metric, board.suite.reference)
        if gain:
            tables[row, metric] = gain
    return tables


def _gain_table(
    tables: Mapping[tuple[RowId, str], Table], row: RowId, metric: str, reference: str
) -> Table:
    """The differences behind a gain; empty of other metrics, or where one side has no scores."""
    headline = HEADLINE[row.task]
    minuends = {"gain": headline, "augmented_gain": AUGMENTED}
    if metric not in minuends:
        return {}
    reference_row = row._replace(method=reference, variant=DEFAULT)
    table = tables.get((row, minuends[metric]), {})
    return _subtracted(table, tables.get((reference_row, headline), {}))


def _patient_table(by_subset: Mapping[int, Scores | LabelScores], metric: str) -> Table:
    """Each patient's score, or pseudo-value where the metric is of a whole set."""
    table = {}
    for subset, scores in by_subset.items():
        patients = _patient_scores(scores, metric)
        if patients:
            table[subset] = patients
    return table


def _patient_scores(scores: Scores | LabelScores, metric: str) -> dict[str, float]:
    if isinstance(scores, Scores):
        return scores.per_group(metric)  # of the patients that the metric is defined for
    matrix = score_matrix([scores], metric)
    if matrix is None:
        return {}
    return dict(zip(sorted(set(scores.group)), matrix[:, 0].tolist(), strict=True))


def _pseudo_healthy_table(cells: RowCells, metric: str) -> Table:
    """Scores of pseudo-healthy images; AUROC is of all patients, others of those with a lesion."""
    table = {}
    for subset, scores in cells.pseudo_healthy_scores.items():
        matrix = pseudo_healthy_matrix([scores], metric)
        if matrix is None:
            continue
        patients = patients_behind(scores, metric)
        table[subset] = dict(zip(patients, matrix[:, 0].tolist(), strict=True))
    return table


def _synthetic_table(cells: RowCells, metric: str, extractor: str | None) -> Table:
    table = {}
    for subset, judgement in cells.judgements.items():
        value = synthetic_value(judgement, metric, extractor)
        if value is not None:
            table[subset] = {WHOLE_SET: value}
    return table


def _subtracted(table: Table, other: Table) -> Table:
    """The differences of the patients that both tables score."""
    gains = {}
    for subset in table.keys() & other.keys():
        scores = table[subset]
        base = other[subset]
        shared = scores.keys() & base.keys()
        gains[subset] = {patient: scores[patient] - base[patient] for patient in shared}
    return gains
