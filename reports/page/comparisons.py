"""Methods compared: shares of ranks, the matrix of pairs, and ranks under three rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from bench.board.schema import HEADLINE, Board, MethodPair, RankShares, RuleOrdering
from reports.page import tables
from reports.page.tables import Problem, item_label

RULES = {
    "mean": "By mean",
    "mean_rank": "By mean rank per case",
    "worst_case": "By the score that 95% of cases reach",
}


class AtBudget(tables.OfProblem, Protocol):
    """An item of the board about one budget."""

    @property
    def labelled(self) -> int: ...


ItemT = TypeVar("ItemT", bound=AtBudget)


@dataclass(frozen=True, slots=True)
class Block:
    """All that compares the methods of one budget."""

    id: str
    text: str  # of the budget
    labelled: int
    stability: list[RankShares]  # also the rows and columns of the matrix, best first
    pairs: dict[tuple[str, str], MethodPair]  # by labels, both ways round
    listed: list[MethodPair]  # each pair once
    ordering: RuleOrdering | None
    other_ranks: dict[str, list[RankShares]]  # the same shares by each other metric


def list_blocks(board: Board, problem: Problem, section: str) -> list[Block]:
    """One block for each budget at which two methods can be compared."""
    blocks = []
    for budget in tables.budgets_of(board, problem):
        labelled = budget.labelled
        pairs = _items_at(board.pairs, problem, labelled)
        if not pairs:
            continue
        orderings = _items_at(board.orderings, problem, labelled)
        stability = _items_at(board.stability, problem, labelled)
        headline = HEADLINE[pairs[0].task]
        block = Block(
            id=f"{section}-{labelled}",
            text=budget.text,
            labelled=labelled,
            stability=[shares for shares in stability if shares.metric == headline],
            pairs=_both_ways(pairs),
            listed=pairs,
            ordering=orderings[0] if orderings else None,
            other_ranks=_by_other_metric(stability, headline),
        )
        blocks.append(block)
    return blocks


def _by_other_metric(stability: Sequence[RankShares], headline: str) -> dict[str, list[RankShares]]:
    by_metric: dict[str, list[RankShares]] = {}
    for shares in stability:
        if shares.metric != headline:
            by_metric.setdefault(shares.metric, []).append(shares)
    return by_metric


def _items_at(items: Sequence[ItemT], problem: Problem, labelled: int) -> list[ItemT]:
    return [item for item in tables.items_of(items, problem) if item.labelled == labelled]


def _both_ways(pairs: Sequence[MethodPair]) -> dict[tuple[str, str], MethodPair]:
    """A - B and B - A of each pair, which is the same seen from the other side."""
    by_labels: dict[tuple[str, str], MethodPair] = {}
    for pair in pairs:
        one, other = item_label(pair), pair.other_label
        by_labels[one, other] = pair
        by_labels[other, one] = _turned_round(pair)
    return by_labels


def _turned_round(pair: MethodPair) -> MethodPair:
    """The numbers of the matrix from the other side; p is the same from both."""
    return replace(
        pair,
        method=pair.other,
        variant=pair.other_variant,
        other=pair.method,
        other_variant=pair.variant,
        mean=-pair.mean,
        lo=_negated(pair.hi),
        hi=_negated(pair.lo),
        superiority=1 - pair.superiority,
        superiority_lo=None if pair.superiority_hi is None else 1 - pair.superiority_hi,
        superiority_hi=None if pair.superiority_lo is None else 1 - pair.superiority_lo,
    )


def _negated(value: float | None) -> float | None:
    return None if value is None else -value


def significance_mark(pair: MethodPair) -> str:
    """Whether a difference is significant, and whether it is large too."""
    if not pair.significant:
        return ""
    return "**" if pair.meaningful else "*"


def p_text(pair: MethodPair) -> str:
    """The adjusted p of a difference, or that it was not tested."""
    return "not tested" if pair.p is None else f"p {tables.number(pair.p, 3)}"


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


def agreement_texts(ordering: RuleOrdering) -> list[str]:
    """How far each two rules agree on all methods, as Kendall's tau."""
    texts = []
    for agreement in ordering.agreement:
        one, other = (RULES[rule].lower() for rule in agreement.rules)
        texts.append(f"{one} and {other} {tables.number(agreement.tau, 2)}")
    return texts
