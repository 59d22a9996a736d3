"""What the page can be filtered by, and the attributes by which its script finds what fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from markupsafe import Markup, escape

from bench.board.schema import Board, CurveArea
from bench.names import method_label
from reports.page import tables

VARIANTS = {"default": "default settings", "tuned": "tuned", "other": "other variants"}


@dataclass(frozen=True, slots=True)
class Chips:
    """One filter: a choice of one value, or of all."""

    key: str
    title: str
    options: list[tuple[str, str]]  # value, words


class BudgetItem(tables.OfProblem, tables.OfMethod, Protocol):
    """An item of the board about one method at one budget."""

    @property
    def fraction(self) -> float: ...


def list_chips(board: Board) -> list[Chips]:
    """The filters that leave a choice; the task has a control of its own."""
    return [chips for chips in _all_chips(board) if len(chips.options) > 1]


def _all_chips(board: Board) -> Iterator[Chips]:
    titles = [(name, card.title) for name, card in board.datasets.items()]
    yield Chips("dataset", "Dataset", titles)
    fractions = sorted({row.fraction for row in board.rows})
    shares = {fraction_value(fraction): tables.percent(fraction) for fraction in fractions}
    yield Chips("fraction", "Labelled", list(shares.items()))
    families = {method_family(board, row.method) for row in board.rows}
    yield Chips("family", "Family", [(name, name) for name in sorted(families)])
    present = {variant_group(row.variant) for row in board.rows}
    variants = [(name, words) for name, words in VARIANTS.items() if name in present]
    yield Chips("variant", "Settings", variants)


def filter_marks(board: Board, item: BudgetItem | CurveArea) -> Markup:
    """The attributes of a table row about one method, by which it is found, hidden and pinned."""
    card = board.methods.get(item.method)
    role = card.role if card else "other"
    values = {
        "name": method_label(item.method, item.variant),
        "task": item.task,
        "dataset": item.dataset,
        "family": method_family(board, item.method),
        "variant": variant_group(item.variant),
        "role": role,
    }
    if not isinstance(item, CurveArea):  # it rests on several budgets and is shown with each
        values["fraction"] = fraction_value(item.fraction)
    attributes = [f'data-{key}="{escape(value)}"' for key, value in values.items()]
    return Markup(" ".join(["data-filter", *attributes]))


def method_family(board: Board, method: str) -> str:
    """What sort of method it is, by its card."""
    card = board.methods.get(method)
    return card.family if card else "other"


def variant_group(variant: str) -> str:
    """Default settings, tuned ones, or a label of the suite's own."""
    settings = variant.split(", best on ")[0]
    if settings.startswith("best on "):
        return "default"
    return settings if settings in VARIANTS else "other"


def fraction_value(fraction: float) -> str:
    """A label fraction as it stands in an address."""
    return f"{fraction:.6g}"
