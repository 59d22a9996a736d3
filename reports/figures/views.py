"""Which choices of the controls a section has, and which it shows first."""

from __future__ import annotations

from bench.board.schema import HEADLINE, Board, Row
from reports.page import tables
from reports.view import View, list_views, settings_of


def section_views(board: Board, task: str, dataset: str) -> list[View]:
    """The views of one section."""
    return [view for view in list_views(board) if (view.task, view.dataset) == (task, dataset)]


def first_view(board: Board, task: str, dataset: str) -> View:
    """The fewest labels, default settings and the headline metric, as far as there are such."""
    views = section_views(board, task, dataset)
    if views:
        return min(views, key=_distance_from_first)
    budgets = [row.labelled for row in board.rows if (row.task, row.dataset) == (task, dataset)]
    return View(task, dataset, min(budgets, default=0), "default", HEADLINE[task])


def _distance_from_first(view: View) -> tuple[bool, int, bool]:
    return (view.metric != HEADLINE[view.task], view.labelled, view.settings != "default")


def view_metrics(board: Board, task: str, dataset: str) -> list[str]:
    """The metrics that the controls offer, the headline first."""
    metrics = {HEADLINE[task]: None}
    for view in section_views(board, task, dataset):
        metrics[view.metric] = None
    return list(metrics)


def compared_rows(board: Board, task: str, dataset: str) -> list[Row]:
    """The rows with a mean, in the metrics of the views.

    Rows of a checkpoint that was chosen on test cases are shown in the table alone.
    """
    metrics = view_metrics(board, task, dataset)
    rows = []
    for row in board.rows:
        is_here = (row.task, row.dataset) == (task, dataset) and row.metric in metrics
        if is_here and tables.known(row.mean) and "best on " not in row.variant:
            rows.append(row)
    return rows


def own_settings(variant: str) -> str:
    """The settings that a row belongs to, besides "all"."""
    return settings_of(variant)[0]
