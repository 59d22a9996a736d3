"""Methods compared: shares of ranks, the matrix of pairs, and ranks under three rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.board.schema import Board
from bench.stats.intervals import LEVEL, MEANINGFUL
from reports.page import tables
from reports.page.svg import SERIES
from reports.page.tables import Item, Problem, item_label

RULES = {
    "mean": "By mean",
    "mean_rank": "By mean rank per case",
    "worst_case": "By the worst 5% of cases",
}


@dataclass(frozen=True, slots=True)
class Block:
    """All that compares the methods of one budget."""

    id: str
    text: str  # of the budget
    labelled: int
    stability: list[Item]  # also the rows and columns of the matrix, best first
    pairs: dict[tuple[str, str], Item]  # by labels, both ways round
    listed: list[Item]  # each pair once
    ordering: Item | None


def list_blocks(board: Board, problem: Problem, section: str) -> list[Block]:
    """One block for each budget at which two methods can be compared."""
    blocks = []
    for budget in tables.budgets_of(board, problem):
        labelled = budget.labelled
        pairs = _items_at(board.pairs, problem, labelled)
        if not pairs:
            continue
        orderings = _items_at(board.orderings, problem, labelled)
        block = Block(
            id=f"{section}-{labelled}",
            text=budget.text,
            labelled=labelled,
            stability=_items_at(board.stability, problem, labelled),
            pairs=_both_ways(pairs),
            listed=pairs,
            ordering=orderings[0] if orderings else None,
        )
        blocks.append(block)
    return blocks


def _items_at(items: Sequence[Item], problem: Problem, labelled: int) -> list[Item]:
    return [item for item in tables.items_of(items, problem) if item["labelled"] == labelled]


def _both_ways(pairs: Sequence[Item]) -> dict[tuple[str, str], Item]:
    """A - B and B - A of each pair, which is the same seen from the other side."""
    by_labels: dict[tuple[str, str], Item] = {}
    for pair in pairs:
        one = item_label(pair)
        other = tables.method_label(pair["other"], pair["other_variant"])
        by_labels[one, other] = {**pair, "sign": significance_mark(pair)}
        by_labels[other, one] = _turned_round(by_labels[one, other])
    return by_labels


def _turned_round(pair: Item) -> Item:
    return {
        **pair,
        "mean": -pair["mean"],
        "lo": _negated(pair["hi"]),
        "hi": _negated(pair["lo"]),
        "superiority": 1 - pair["superiority"],
    }


def _negated(value: float | None) -> float | None:
    return None if value is None else -value


def significance_mark(pair: Item) -> str:
    """Whether a difference is significant (by Holm's p), and large (by how often it wins)."""
    if pair["p"] >= 1 - LEVEL:
        return ""
    large = max(pair["superiority"], 1 - pair["superiority"]) >= MEANINGFUL
    return "**" if large else "*"


def stack_shares(shares: Sequence[float], methods: int) -> list[tuple[float, float, float, int]]:
    """(start, width, strength, rank) of each part of a stacked bar over 0 to 100.

    Rank 1 has the strongest colour.
    """
    parts = []
    start = 0.0
    for number, share in enumerate(shares):
        if share > 0:
            strength = 100 - 88 * number / max(methods - 1, 1)
            parts.append((100 * start, 100 * share, strength, number + 1))
        start += share
    return parts


def shares_text(shares: Sequence[float]) -> str:
    """The shares of ranks as text; shares that would round to 0.0% are left out."""
    ranked = enumerate(shares, 1)
    return ", ".join(f"{rank}: {share:.1%}" for rank, share in ranked if share >= 0.0005)


def rank_lines(ordering: Item, styles: Mapping[str, int]) -> list[tuple[str, int, list[int]]]:
    """(label, colour, rank under each rule) of each method, coloured as in the other figures."""
    lines = []
    for item in ordering["methods"]:
        label = item_label(item)
        colour = styles[label] % len(SERIES)
        ranks = [item["rules"][rule]["rank"] for rule in RULES]
        lines.append((label, colour, ranks))
    return lines


def agreement_texts(ordering: Item) -> list[str]:
    """How far each two rules agree on all methods, as Kendall's tau."""
    texts = []
    for agreement in ordering["agreement"]:
        one, other = (RULES[rule].lower() for rule in agreement["rules"])
        texts.append(f"{one} and {other} {tables.number(agreement['tau'], 2)}")
    return texts
