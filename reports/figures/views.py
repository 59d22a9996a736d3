"""Which choices of the controls a section has, and which it shows first."""

from __future__ import annotations

from bench.board.schema import HEADLINE, Board
from bench.names import TUNED
from reports.view import View, list_views


def section_views(board: Board, task: str, dataset: str) -> list[View]:
    """The views of one section."""
    return [view for view in list_views(board) if (view.task, view.dataset) == (task, dataset)]


def first_view(views: list[View]) -> View:
    """The fewest labels, default settings and the headline metric, as far as there are such."""
    return min(views, key=_distance_from_first)


def _distance_from_first(view: View) -> tuple[bool, int, bool]:
    return (view.metric != HEADLINE[view.task], view.labelled, view.settings != "default")


def own_settings(variant: str) -> str:
    """The settings that a row belongs to, besides "all"."""
    return "tuned" if variant == TUNED else "default"
