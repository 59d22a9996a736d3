"""Methods against each other, laid out for the page: stacked shares of ranks, the matrix of pairs, three orderings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.board import Board
from bench.statistics import LEVEL, MEANINGFUL
from reports.page import tables
from reports.page.svg import SERIES

RULES = {
    "mean": "By mean",
    "mean_rank": "By mean rank per case",
    "worst_case": "By the worst 5% of cases",
}
Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Block:
    """All that compares the methods of one budget."""

    id: str
    text: str  # of the budget
    labelled: int
    stability: list[Item]
    methods: list[Item]  # rows and columns of the matrix, best first
    pairs: dict[tuple[str, str], Item]  # by labels, both ways round
    listed: list[Item]  # each pair once
    ordering: Item | None


def blocks(board: Board, place: tables.Place, section: str) -> list[Block]:
    """One for each budget at which two methods can be compared."""
    found = []
    for budget in tables.budgets(board, place):
        stability, pairs, ordering = (
            _at(items, place, budget.labelled)
            for items in (board.stability, board.pairs, board.orderings)
        )
        if pairs:
            both = {key: item for pair in pairs for key, item in _both(pair)}
            name = f"{section}-{budget.labelled}"
            first = ordering[0] if ordering else None
            found.append(
                Block(name, budget.text, budget.labelled, stability, stability, both, pairs, first)
            )
    return found


def _at(items: Sequence[Item], place: tables.Place, labelled: int) -> list[Item]:
    return [
        item
        for item in items
        if (item["task"], item["dataset"], item["labelled"]) == (*place, labelled)
    ]


def _both(pair: Item) -> list[tuple[tuple[str, str], Item]]:
    """A - B, and B - A, which is the same seen from the other side."""
    one, other = label(pair), tables.method_label(pair["other"], pair["other_variant"])
    turned = {
        **pair, "mean": -pair["mean"], "lo": _minus(pair["hi"]), "hi": _minus(pair["lo"]),
        "superiority": 1 - pair["superiority"],
    }  # fmt: skip
    return [
        ((one, other), {**pair, "sign": mark(pair)}),
        ((other, one), {**turned, "sign": mark(pair)}),
    ]


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def mark(pair: Item) -> str:
    """Whether a difference is sure and large: by Holm's p, and by how often the better one wins."""
    sure = pair["p"] < 1 - LEVEL
    large = max(pair["superiority"], 1 - pair["superiority"]) >= MEANINGFUL
    return "**" if sure and large else "*" if sure else ""


def label(item: Item) -> str:
    """The method and variant of an item."""
    return tables.method_label(item["method"], item["variant"])


def stack(shares: Sequence[float], methods: int) -> list[tuple[float, float, float, int]]:
    """(from, width, strength, rank) of each part of a stacked bar over 0 to 100; rank 1 is the strongest."""
    parts, start = [], 0.0
    for place, share in enumerate(shares):
        if share > 0:
            parts.append(
                (100 * start, 100 * share, 100 - 88 * place / max(methods - 1, 1), place + 1)
            )
        start += share
    return parts


def in_words(shares: Sequence[float]) -> str:
    """The shares of ranks as text."""
    return ", ".join(
        f"{place}: {share:.1%}" for place, share in enumerate(shares, 1) if share >= 0.0005
    )


def bump(
    ordering: Item, styles: Mapping[str, tuple[int, bool]]
) -> list[tuple[str, int, list[int]]]:
    """(label, colour, rank under each rule) of each method; colours are those of the other figures."""
    return [
        (
            label(item),
            styles[label(item)][0] % len(SERIES),
            [item["rules"][rule]["rank"] for rule in RULES],
        )
        for item in ordering["methods"]
    ]


def taus(ordering: Item) -> list[str]:
    """How far two rules agree on all methods."""
    return [
        f"{RULES[one['rules'][0]].lower()} and {RULES[one['rules'][1]].lower()} {tables.number(one['tau'], 2)}"
        for one in ordering["agreement"]
    ]
