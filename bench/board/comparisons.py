"""Pairwise comparison at one budget: rank stability, all pairs, and orderings under other rules.

For the headline of each task, over the subsets that all methods of a budget have. A method that
failed counts as worst here, as everywhere; a checkpoint chosen on a list is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.board.columns import COLUMNS
from bench.board.rows import RowCells, matrix_of, rows_by_budget, seed_name, shared_subsets
from bench.board.schema import (
    HEADLINE,
    MethodPair,
    MethodRanks,
    RankShares,
    RuleAgreement,
    RuleOrdering,
    RuleRank,
)
from bench.names import DEFAULT
from bench.stats import intervals
from bench.stats.ranking import Ordering, order_by_rules, rank_agreement, rank_distributions

MOST = 12  # methods in a matrix: the reference and the best means; nobody reads more


@dataclass
class Comparisons:
    """The parts of a Board that compare methods with each other."""

    stability: list[RankShares] = field(default_factory=list)
    pairs: list[MethodPair] = field(default_factory=list)
    orderings: list[RuleOrdering] = field(default_factory=list)


@dataclass(frozen=True)
class BudgetScores:
    """The methods of one budget and their headline scores, both by seed name."""

    rows: Mapping[str, RowCells]
    tables: Mapping[str, NDArray[np.float64]]  # patients x shared subsets


def compare_methods(rows: Sequence[RowCells], reference: str) -> Comparisons:
    """All comparisons of a plan."""
    comparisons = Comparisons()
    ranked_by_case = {column.key for column in COLUMNS if column.pairs}
    for budget in scores_by_budget(rows):
        shown = choose_shown(budget, reference)
        comparisons.stability += rank_shares(budget, shown)
        comparisons.pairs += method_pairs(budget, shown)
        # A metric of a whole test set has no ranks by case and no worst cases.
        if HEADLINE[budget.rows[shown[0]].row.task] in ranked_by_case:
            comparisons.orderings.append(rule_ordering(budget, shown))
    return comparisons


def scores_by_budget(rows: Sequence[RowCells]) -> Iterator[BudgetScores]:
    """The budgets at which any method is scored."""
    scored = [cells for cells in rows if cells.scores and not cells.selected]
    for group in rows_by_budget(scored):
        shared = shared_subsets(group)
        tables = {}
        for cells in group:
            table = matrix_of(cells, HEADLINE[cells.row.task], shared)
            if table is not None:
                tables[seed_name(cells.row)] = table
        if tables:
            yield BudgetScores({seed_name(cells.row): cells for cells in group}, tables)


def choose_shown(budget: BudgetScores, reference: str) -> list[str]:
    """The reference and the best means, best first, MOST at most."""
    best_first = intervals.best_first(budget.tables, True)
    references = []
    for name in best_first:
        if budget.rows[name].row.contender == (reference, DEFAULT):
            references.append(name)
    others = [name for name in best_first if name not in references]
    shown = {*references, *others[: MOST - len(references)]}
    return [name for name in best_first if name in shown]


def rank_shares(budget: BudgetScores, shown: Sequence[str]) -> list[RankShares]:
    """In which share of draws of the true means each method shown is first, second, and so on."""
    distributions = rank_distributions(budget.tables, True)
    shares = []
    for name in shown:
        cells = budget.rows[name]
        shares.append(
            RankShares(
                task=cells.row.task,
                dataset=cells.row.dataset,
                labelled=cells.row.labelled,
                fraction=cells.fraction,
                method=cells.row.method,
                variant=cells.row.variant,
                methods=len(budget.tables),
                shares=_without_trailing_zeros(distributions[name].shares),
            )
        )
    return shares


def _without_trailing_zeros(shares: Sequence[float]) -> list[float]:
    kept = list(shares)
    while kept and kept[-1] <= 0:
        kept.pop()
    return kept


def method_pairs(budget: BudgetScores, shown: Sequence[str]) -> list[MethodPair]:
    """Each two of the methods shown; p is adjusted after Holm over all of these pairs."""
    couples = list(combinations(shown, 2))
    differences = [budget.tables[a] - budget.tables[b] for a, b in couples]
    adjusted = intervals.holm_adjusted(
        [intervals.p_value(difference) for difference in differences]
    )
    pairs = []
    for (a, b), difference, p in zip(couples, differences, adjusted, strict=True):
        pairs.append(_method_pair(budget.rows[a], budget.rows[b], difference, p))
    return pairs


def _method_pair(
    cells: RowCells, other: RowCells, difference: NDArray[np.float64], p: float
) -> MethodPair:
    interval = intervals.mean_interval(difference)
    return MethodPair(
        task=cells.row.task,
        dataset=cells.row.dataset,
        labelled=cells.row.labelled,
        fraction=cells.fraction,
        method=cells.row.method,
        variant=cells.row.variant,
        other=other.row.method,
        other_variant=other.row.variant,
        mean=interval.mean,
        lo=interval.lo,
        hi=interval.hi,
        interval=interval.kind,
        superiority=intervals.probability_of_superiority(difference),
        p=p,
        false_outperformance=intervals.false_outperformance(difference),
    )


def rule_ordering(budget: BudgetScores, shown: Sequence[str]) -> RuleOrdering:
    """Value and rank of each method shown under each rule (R4.4); Kendall's tau over all."""
    by_rule = order_by_rules(budget.tables, True)
    taus = []
    for rules, tau in rank_agreement(by_rule).items():
        taus.append(RuleAgreement(list(rules), tau))
    first = budget.rows[shown[0]]
    return RuleOrdering(
        task=first.row.task,
        dataset=first.row.dataset,
        labelled=first.row.labelled,
        fraction=first.fraction,
        methods=[_method_ranks(budget.rows[name], name, by_rule) for name in shown],
        agreement=taus,
    )


def _method_ranks(cells: RowCells, name: str, by_rule: Mapping[str, Ordering]) -> MethodRanks:
    rules = {}
    for rule, ordering in by_rule.items():
        rules[rule] = RuleRank(ordering.values[name], ordering.ranks[name])
    return MethodRanks(
        task=cells.row.task,
        dataset=cells.row.dataset,
        labelled=cells.row.labelled,
        fraction=cells.fraction,
        method=cells.row.method,
        variant=cells.row.variant,
        rules=rules,
    )
