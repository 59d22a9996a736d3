"""The cells of each board row with their states and scores, as they lie on disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bench.api import Task
from bench.board.schema import TASKS, ColumnFacts, Row, Status
from bench.board.scores.outer_folds import (
    folds_of,
    join_pseudo_healthy,
    join_scores,
    segmentation_scores,
)
from bench.cell_folder import CellFolder, State
from bench.cell_records import CellResult, Judgement, PredictionSet
from bench.errors import BenchError
from bench.metrics.case_metric import CaseMetric
from bench.names import DEFAULT, EXTERNAL, TUNED, RowId, selected_variant
from bench.planning.cells import PlannedCell
from bench.planning.plan_file import Plan, planned_metrics
from bench.scoring.pseudo_healthy_scores import PseudoHealthyScores
from bench.scoring.tables import (
    LabelScores,
    Scores,
    read_draws,
    read_rows,
    score_matrix,
)
from bench.stats.intervals import Folds
from bench.stats.ranking import RankDistribution
from bench.store import Store

NAMED_PROBLEMS = 3  # predictions that do not fit and are named in a reason


@dataclass(frozen=True)
class RowCells:
    """All cells of one board row, with their states and scores; mappings are by subset."""

    row: RowId
    fraction: float
    cells: Sequence[PlannedCell]
    states: Sequence[State]  # of each cell
    # By draw: a subset, or with outer folds, the subsets of all folds. Failed cells are scored at
    # their worst.
    scores: Mapping[int, Scores | LabelScores]
    failures: Sequence[str] = ()
    unusable: Sequence[str] = ()  # predictions from elsewhere that are missing or do not fit
    refusal: str | None = None
    judgements: Mapping[int, Judgement] = field(default_factory=dict)
    facts: Mapping[int, Mapping[str, str]] = field(default_factory=dict)  # of its own training
    generator: bool = False
    selected: bool = False  # a checkpoint chosen on a list: shown, never ranked
    results: Sequence[CellResult] = ()  # of the cells that are done
    pseudo_healthy: bool = False  # takes lesions out of images
    ladder: bool = False  # the reference at a budget where it alone is run
    short_form: bool = False  # trained with the schedules that its card names for short runs
    # Of the segmenter that was trained on synthetic images too.
    augmented: Mapping[int, Scores | LabelScores] = field(default_factory=dict)
    pseudo_healthy_scores: Mapping[int, PseudoHealthyScores] = field(default_factory=dict)
    folds: int = 1  # outer folds; each tests other patients
    # Of each fold where there are outer folds, by subset; `scores` joins them.
    fold_scores: Mapping[int, Scores] = field(default_factory=dict)

    @property
    def subset_scores(self) -> Mapping[int, Scores | LabelScores]:
        """The scores of each cell that has ended."""
        return self.fold_scores if self.folds > 1 else self.scores

    @property
    def devices(self) -> list[str]:
        """The kinds of device that its cells were trained on."""
        named = {result.environment.get("device", "") for result in self.results}
        return sorted(named - {""})

    @property
    def draws(self) -> int:
        """How many draws are planned; each has a cell in every outer fold."""
        return len(self.states) // self.folds

    @property
    def some_scores(self) -> Scores | LabelScores:
        """The scores of one subset; all subsets share their test cases."""
        return next(iter(self.scores.values()))


def row_cells(store: Store, plan: Plan) -> list[RowCells]:
    """The rows of a plan by task, dataset and budget.

    Where a suite selects checkpoints, each row that has some stands there twice.
    """
    metrics = planned_metrics(plan, store.plugins)
    rows = []
    for cells in _cells_by_row(plan.cells).values():
        row = _read_row(store, cells, metrics, plan.suite.folds)
        if plan.suite.outer_folds is not None:
            row = _with_joined_folds(row)
        rows.append(row)
    _check_same_cases(rows)
    select = plan.suite.select
    if select is not None:
        chosen = [row for row in rows if row.cells[0].select and not row.refusal]
        rows += [_with_selected_checkpoints(store, row, select.by, metrics) for row in chosen]
    return sorted(rows, key=lambda cells: (TASKS.index(cells.row.task), cells.row[1:]))


def _check_same_cases(rows: Sequence[RowCells]) -> None:
    """Raise BenchError where two score tables of one data set, or fold of it, differ in cases.

    Those of classification are compared line by line, so that their order matters too.
    """
    seen: dict[tuple[str, str, int], tuple[RowId, list[str]]] = {}
    for cells in rows:
        for subset, scores in cells.subset_scores.items():
            place = (cells.row.task, cells.row.dataset, subset % cells.folds)
            first, expected = seen.setdefault(place, (cells.row, scores.names))
            if scores.names == expected:
                continue
            differing = sorted(set(scores.names) ^ set(expected))
            if differing:
                how = f"differ in {len(differing)} cases, such as {differing[0]!r}"
            elif isinstance(scores, LabelScores):
                how = "list the cases in another order"
            else:
                continue
            raise BenchError(
                f"score tables of {first.method} and {cells.row.method} on {cells.row.dataset} "
                f"{how}; 'verify' names the table; restore it, or remove scores/ of its cell and "
                "run 'score'"
            )


def rows_by_budget(rows: Sequence[RowCells]) -> list[list[RowCells]]:
    """The rows of each budget, in the order given."""
    budgets: dict[tuple[str, str, int], list[RowCells]] = defaultdict(list)
    for cells in rows:
        budgets[cells.row.budget].append(cells)
    return list(budgets.values())


def _cells_by_row(cells: Sequence[PlannedCell]) -> dict[RowId, list[PlannedCell]]:
    rows: dict[RowId, list[PlannedCell]] = defaultdict(list)
    for cell in cells:
        rows[cell.row].append(cell)
    return rows


def _read_row(
    store: Store, cells: Sequence[PlannedCell], metrics: Sequence[CaseMetric], folds: int
) -> RowCells:
    first = cells[0]
    folders = {cell.subset: store.cell(cell.key) for cell in cells}
    results = _read_results(folders)
    states = [_state(store, cell, results) for cell in cells]
    unusable: list[str] = []
    if first.method == EXTERNAL:
        for result in results.values():
            unusable += result.problems
    ended = _ended(folders, cells, states)
    augmented: dict[int, Scores | LabelScores] = {}
    if first.pseudo_healthy:
        augmented = _read_scores(folders, "augmented", first.task, metrics)
    return RowCells(
        row=first.row,
        fraction=first.fraction,
        cells=cells,
        states=states,
        scores=_read_scores(ended, "last", first.task, metrics),
        failures=_read_failures(store, cells, states),
        unusable=unusable,
        refusal=first.refusal,
        judgements=_read_judgements(folders, cells),
        facts=_facts(cells, results),
        generator=first.generator,
        results=list(results.values()),
        pseudo_healthy=first.pseudo_healthy,
        ladder=first.ladder,
        short_form=first.short_form,
        augmented=augmented,
        pseudo_healthy_scores=_read_pseudo_healthy(folders, folds),
        folds=folds,
    )


def _with_joined_folds(row: RowCells) -> RowCells:
    """A row whose draws hold all patients; a draw counts once all of its folds have ended."""
    of_subsets = dict(zip(row.scores, segmentation_scores(row.scores.values()), strict=True))
    return replace(
        row,
        scores=join_scores(row.scores, row.folds),
        augmented=join_scores(row.augmented, row.folds),
        fold_scores=of_subsets,
    )


def _read_results(folders: Mapping[int, CellFolder]) -> dict[int, CellResult]:
    results = {}
    for subset, folder in folders.items():
        result = folder.read_result()
        if result is not None:
            results[subset] = result
    return results


def _facts(
    cells: Sequence[PlannedCell], results: Mapping[int, CellResult]
) -> dict[int, Mapping[str, str]]:
    """What a method says of its own training; nothing of cells that are not done."""
    facts: dict[int, Mapping[str, str]] = {cell.subset: {} for cell in cells}
    for subset, result in results.items():
        facts[subset] = result.facts
    return facts


def _state(store: Store, cell: PlannedCell, results: Mapping[int, CellResult]) -> State:
    return "done" if cell.subset in results else store.state(cell.key)


def _ended(
    folders: Mapping[int, CellFolder], cells: Sequence[PlannedCell], states: Sequence[State]
) -> dict[int, CellFolder]:
    """The folders of the cells that have ended, well or not."""
    ended = {}
    for cell, state in zip(cells, states, strict=True):
        if state in ("done", "failed"):
            ended[cell.subset] = folders[cell.subset]
    return ended


def _read_scores(
    folders: Mapping[int, CellFolder],
    which: PredictionSet,
    task: Task,
    metrics: Sequence[CaseMetric],
) -> dict[int, Scores | LabelScores]:
    """The score tables of one prediction set, of the cells that have it."""
    files = {subset: folder.scores(which) for subset, folder in folders.items()}
    written = {subset: file for subset, file in files.items() if file.exists()}
    return read_draws(written, task, metrics)


def _read_failures(
    store: Store, cells: Sequence[PlannedCell], states: Sequence[State]
) -> list[str]:
    failures = []
    for cell, state in zip(cells, states, strict=True):
        failure = store.cell(cell.key).read_failure() if state == "failed" else None
        if failure is not None:
            failures.append(failure.reason)
    return failures


def _read_judgements(
    folders: Mapping[int, CellFolder], cells: Sequence[PlannedCell]
) -> dict[int, Judgement]:
    judgements = {}
    for cell in cells:
        judgement = folders[cell.subset].read_judgement() if cell.is_judged else None
        if judgement is not None:
            judgements[cell.subset] = judgement
    return judgements


def _read_pseudo_healthy(
    folders: Mapping[int, CellFolder], folds: int
) -> dict[int, PseudoHealthyScores]:
    """The scores of pseudo-healthy images by draw, of the draws that have those of every fold."""
    files = {subset: folder.pseudo_healthy_scores for subset, folder in folders.items()}
    lines = {subset: read_rows(file) for subset, file in files.items() if file.exists()}
    return join_pseudo_healthy(lines, folds)


def _with_selected_checkpoints(
    store: Store, cells: RowCells, chosen_on: str, metrics: Sequence[CaseMetric]
) -> RowCells:
    """A row by the checkpoint that was best on a list; a failed cell stays at its worst."""
    folders = {cell.subset: store.cell(cell.key) for cell in cells.cells}
    best = _read_scores(folders, "best", cells.cells[0].task, metrics)
    variant = selected_variant(cells.row.variant, chosen_on)
    return replace(
        cells,
        row=cells.row._replace(variant=variant),
        scores={**cells.scores, **best},
        selected=True,
    )


def status_of(cells: RowCells, column: ColumnFacts, scored: bool) -> tuple[Status, str | None]:
    """The status of a row's number, and why it is not ok; `scored` says whether there is one."""
    if cells.refusal:
        return "not_applicable", cells.refusal
    total = len(cells.states)
    if cells.failures:
        consequence = "are left out" if column.kind == "pseudo-healthy" else "count as worst"
        share = f"{len(cells.failures)} of {total} runs failed and {consequence}"
        return "failed", f"{share}: {'; '.join(sorted(set(cells.failures)))}"
    if cells.unusable:
        return "failed", _unusable_predictions(cells.unusable)
    done = cells.states.count("done")
    is_undefined = column.kind == "case" and bool(cells.scores) and not scored
    if done < total and not is_undefined:
        return "missing", f"{total - done} of {total} runs not finished"
    if not scored:
        return "not_applicable", f"{column.title} is not defined on this test set ({column.needs})"
    return "ok", None


def _unusable_predictions(problems: Sequence[str]) -> str:
    named = "; ".join(problems[:NAMED_PROBLEMS])
    if len(problems) > NAMED_PROBLEMS:
        named += "; ..."
    count = len(problems)
    return f"{count} predictions are missing or do not fit and count as worst: {named}"


def find_reference(cells: RowCells, group: Sequence[RowCells], reference: str) -> RowCells | None:
    """The row of its budget that a row is compared with.

    Tuned methods are compared with the tuned reference where there is one, all others with the
    reference's defaults.
    """
    variants = {other.row.variant: other for other in group if other.row.method == reference}
    default = variants.get(DEFAULT)
    if cells.row.variant == TUNED and cells.row.method != reference:
        return variants.get(TUNED, default)
    return default


def shared_subsets(rows: Sequence[RowCells]) -> list[int]:
    """The subsets that all rows have scores of."""
    if not rows:
        return []
    subsets = [set(cells.scores) for cells in rows]
    return sorted(set.intersection(*subsets))


def matrix_of(
    cells: RowCells | None, metric: str, subsets: Sequence[int]
) -> NDArray[np.float64] | None:
    """Patients x subsets; None where nothing is scored or the metric is nowhere defined."""
    if cells is None:
        return None
    return score_matrix([cells.scores[subset] for subset in subsets], metric)


def folds_of_patients(cells: RowCells, metric: str) -> Folds:
    """The outer fold of each patient of a row's matrix; None without outer folds."""
    if cells.folds == 1:
        return None
    patients: set[str] = set()
    for scores in cells.fold_scores.values():
        patients.update(scores.per_group(metric))
    return folds_of(sorted(patients), cells.fold_scores, cells.folds)


def empty_row(cells: RowCells, column: ColumnFacts, status: Status, reason: str | None) -> Row:
    """A row of the board without a number."""
    return Row(
        task=cells.row.task,
        dataset=cells.row.dataset,
        fraction=cells.fraction,
        labelled=cells.row.labelled,
        method=cells.row.method,
        variant=cells.row.variant,
        metric=column.key,
        mean=None,
        lo=None,
        hi=None,
        interval="",
        n_cases=0,
        n_groups=0,
        n_subsets=0,
        rank_lo=None,
        rank_hi=None,
        tie_group=None,
        status=status,
        reason=reason,
        short_form=cells.short_form,
    )


def with_rank(row: Row, rank: RankDistribution | None) -> Row:
    """The row with the ranks that the data allow; unchanged where it is not ranked."""
    if rank is None:
        return row
    return replace(
        row, rank_lo=rank.lo, rank_hi=rank.hi, tie_group=rank.tie_group, first=rank.first
    )


def seed_name(row: RowId) -> str:
    """A row as one text, which random draws are seeded from."""
    return "\n".join(map(str, row))
