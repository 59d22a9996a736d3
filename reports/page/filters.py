"""The attributes by which the script of the page finds what belongs to a view."""

from __future__ import annotations

from typing import Protocol

from markupsafe import Markup, escape

from bench.board.schema import Board, CurveArea
from reports.page import tables
from reports.view import settings_of
from reports.wording import entry_name


class BudgetItem(tables.OfProblem, tables.OfMethod, Protocol):
    """An item of the board about one method at one budget."""

    @property
    def labelled(self) -> int: ...


def filter_marks(board: Board, item: BudgetItem | CurveArea) -> Markup:
    """The attributes of a table row about one method."""
    values = {
        "problem": f"{item.task}/{item.dataset}",
        "name": entry_name(board, item.method, item.variant),
        "family": method_family(board, item.method),
        "settings": settings_of(item.variant)[0],
    }
    if not isinstance(item, CurveArea):  # it rests on several budgets and is shown with each
        values["labelled"] = str(item.labelled)
    attributes = [f'data-{key}="{escape(value)}"' for key, value in values.items()]
    return Markup(" ".join(["data-filter", *attributes]))


def method_family(board: Board, method: str) -> str:
    """What sort of method it is, by its card."""
    card = board.methods.get(method)
    return card.family if card else "other"
