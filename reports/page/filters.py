"""What the page can be filtered by, and the attributes by which its script finds what fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from bench.board import Board, Row
from reports.page import tables

VARIANTS = {"default": "default settings", "tuned": "tuned", "other": "other variants"}


@dataclass(frozen=True, slots=True)
class Chips:
    """One filter: a choice of one value, or of all."""

    key: str
    title: str
    options: list[tuple[str, str]]  # value, words


def chips(board: Board) -> list[Chips]:
    """The filters that leave a choice, but for the task."""
    rows = board.rows
    fractions = sorted({(row.fraction, share(row.fraction)) for row in rows})
    families = sorted({family(board, row.method) for row in rows})
    kinds = {kind(row.variant) for row in rows}
    found = [
        Chips(
            "dataset", "Dataset", [(name, card["title"]) for name, card in board.datasets.items()]
        ),
        Chips(
            "fraction",
            "Labelled",
            [(value, tables.percent(fraction)) for fraction, value in fractions],
        ),
        Chips("family", "Family", [(name, name) for name in families]),
        Chips(
            "variant",
            "Settings",
            [(name, words) for name, words in VARIANTS.items() if name in kinds],
        ),
    ]
    return [one for one in found if len(one.options) > 1]


def marks(board: Board, item: Row | Mapping[str, Any]) -> Markup:
    """The attributes of a table line about one method, by which it is found, hidden and pinned."""
    get = (lambda key: getattr(item, key)) if isinstance(item, Row) else item.__getitem__
    values = {
        "name": tables.method_label(get("method"), get("variant")), "task": get("task"), "dataset": get("dataset"),
        "family": family(board, get("method")), "variant": kind(get("variant")),
        "role": board.methods.get(get("method"), {}).get("role", "other"),
    }  # fmt: skip
    if (
        isinstance(item, Row) or "fraction" in item
    ):  # what rests on several budgets is shown with each
        values["fraction"] = share(get("fraction"))
    return Markup(
        "data-filter " + " ".join(f'data-{key}="{escape(value)}"' for key, value in values.items())
    )


def family(board: Board, method: str) -> str:
    """What kind of method it is, by its card."""
    return str(board.methods.get(method, {}).get("family", "other"))


def kind(variant: str) -> str:
    """Default settings, tuned ones, or a label of the suite's own."""
    first = variant.split(", best on ")[0]
    return "default" if first.startswith("best on ") else first if first in VARIANTS else "other"


def share(fraction: float) -> str:
    """A label fraction as it stands in an address."""
    return f"{fraction:.6g}"
