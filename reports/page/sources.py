"""Where each number comes from: the draws, runs, seeds and settings behind every row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bench.board.schema import HEADLINE, Board, BoardCell
from bench.names import DEFAULT
from reports.page import tables
from reports.page.lean_table import row_id
from reports.page.tables import Problem

# Means of single draws in one page; with more, those of the headline alone are kept.
MOST_MEANS = 100_000
Draws = list[tuple[int, float]]  # draw from 1, and its mean
NO_MACHINES: Mapping[str, int | None] = MappingProxyType({})


def problem_sources(
    board: Board, problem: Problem, machine_of: Mapping[str, int | None] = NO_MACHINES
) -> dict[str, Any]:
    """The runs, the means and the gains of each draw behind the rows of one problem.

    `repeats` holds the rows with all labels, where nothing is drawn. `machine_of` is the number of
    the machine of each run, by key.
    """
    runs: dict[str, list[list[Any]]] = defaultdict(list)
    for cell in tables.items_of(board.cells, problem):
        runs[row_id(cell.labelled, cell.method, cell.variant)].append(
            [*_run(cell), machine_of.get(cell.key)]
        )
    for row in tables.rows_of(board, problem):
        name = row_id(row.labelled, row.method, row.variant)
        if row.metric == HEADLINE[problem.task] and name not in runs:
            trained = row_id(row.labelled, row.method, trained_variant(row.variant))
            if trained in runs:
                runs[name] = runs[trained]
    return {
        "runs": runs,
        "repeats": _rows_with_all_labels(board, problem),
        "folds": board.suite.outer_folds or 1,
        "means": _means(board, problem),
        "gains": _gains(board, problem),
    }


def _rows_with_all_labels(board: Board, problem: Problem) -> list[str]:
    names: dict[str, None] = {}
    for row in tables.rows_of(board, problem):
        if row.fraction == 1:
            names[row_id(row.labelled, row.method, row.variant)] = None
    return list(names)


def trained_variant(variant: str) -> str:
    """The variant whose runs are behind a row that shows another checkpoint of them."""
    if variant.startswith("best on "):
        return DEFAULT
    return variant.split(", best on ")[0]


def _run(cell: BoardCell) -> list[Any]:
    # A seed has 63 bits, which a number of the script cannot hold.
    seed = "" if cell.seed is None else str(cell.seed)
    return [cell.key, cell.subset + 1, seed, cell.steps, cell.status, cell.settings]


def _means(board: Board, problem: Problem) -> dict[str, dict[str, Draws]]:
    """Metric -> row -> the mean of each draw."""
    kept_metric = HEADLINE[problem.task] if len(board.points) > MOST_MEANS else None
    means: dict[str, dict[str, Draws]] = defaultdict(lambda: defaultdict(list))
    for point in tables.items_of(board.points, problem):
        if kept_metric in (None, point.metric) and tables.known(point.mean):
            name = row_id(point.labelled, point.method, point.variant)
            means[point.metric][name].append((point.subset + 1, round(point.mean, 4)))
    return means


def _gains(board: Board, problem: Problem) -> dict[str, dict[str, Draws]]:
    """Metric -> row -> the gain of each draw."""
    gains: dict[str, dict[str, Draws]] = defaultdict(dict)
    for gain in tables.items_of(board.gains, problem):
        name = row_id(gain.labelled, gain.method, gain.variant)
        draws = zip(gain.subsets, gain.draws, strict=True)
        gains[gain.metric][name] = [(subset + 1, round(mean, 4)) for subset, mean in draws]
    return gains
