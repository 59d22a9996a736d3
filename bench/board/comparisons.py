"""Comparison at one budget: gains and ranks by metric, all pairs, other rules, draws needed.

Gains and ranks stand for each compared metric, all else for the headline of each task, over the
subsets that all methods of a budget have. A method that failed counts as worst here, as everywhere;
a checkpoint chosen on a list is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bench.board.columns import COLUMNS
from bench.board.rows import RowCells, rows_by_budget
from bench.board.schema import (
    COMPARED,
    HEADLINE,
    ColumnFacts,
    MethodPair,
    MethodRanks,
    MetricGain,
    PlanningNote,
    RankShares,
    RuleAgreement,
    RuleOrdering,
    RuleRank,
)
from bench.board.shared_draws import (
    PairedGain,
    draws_of_all,
    find_bases,
    paired_gains,
    share_tables,
)
from bench.names import DEFAULT
from bench.stats import intervals
from bench.stats.planning import Components, measured_components, planning_sentence
from bench.stats.ranking import Ordering, order_by_rules, rank_agreement, rank_distributions
from bench.stats.shared_variance import SharedVariance
from bench.stats.verdicts import PairTest, compare_all_pairs

MOST = 12  # methods in a matrix: the reference and the best means; nobody reads more


@dataclass
class Comparisons:
    """The parts of a Board that compare methods with each other."""

    gains: list[MetricGain] = field(default_factory=list)
    stability: list[RankShares] = field(default_factory=list)
    pairs: list[MethodPair] = field(default_factory=list)
    orderings: list[RuleOrdering] = field(default_factory=list)


@dataclass(frozen=True)
class BudgetScores:
    """The methods of one budget and their scores by one metric, both by seed name."""

    rows: Mapping[str, RowCells]
    tables: Mapping[str, NDArray[np.float64]]  # patients x shared subsets
    metric: str = "dice"
    higher_is_better: bool = True

    @cached_property
    def shared(self) -> SharedVariance:
        """What the methods tell together about draws."""
        return share_tables(self.rows, self.tables)


def compared_columns(columns: Sequence[ColumnFacts]) -> list[ColumnFacts]:
    """The metrics with gains and shares of ranks: the headlines first, those of plug-ins last."""
    built_in = {column.key for column in COLUMNS}
    by_key = {column.key: column for column in columns}
    compared = [by_key[key] for keys in COMPARED.values() for key in keys]
    return [*compared, *(column for column in columns if column.key not in built_in)]


def compare_methods(
    rows: Sequence[RowCells], reference: str, columns: Sequence[ColumnFacts]
) -> Comparisons:
    """All comparisons of a plan; gains and shares of ranks by each of these columns."""
    comparisons = Comparisons()
    ranked_by_case = {column.key for column in COLUMNS if column.pairs}
    for group in rows_by_budget(rows):
        task = group[0].row.task
        of_task = [column for column in columns if column.task == task]
        for column in of_task:
            comparisons.gains += metric_gains(group, column, reference)
            ranked = budget_scores(group, column.key, column.better == "higher")
            if ranked is not None:
                comparisons.stability += rank_shares(ranked, choose_shown(ranked, reference))
        budget = budget_scores(group, HEADLINE[task])
        if budget is None:
            continue
        shown = choose_shown(budget, reference)
        comparisons.pairs += method_pairs(budget, shown)
        # A metric of a whole test set has no ranks by case and no worst cases.
        if HEADLINE[task] in ranked_by_case:
            comparisons.orderings.append(rule_ordering(budget, shown))
    return comparisons


def budget_scores(
    group: Sequence[RowCells], metric: str, higher_is_better: bool = True
) -> BudgetScores | None:
    """The rows of one budget that can be compared by a metric; None where none can."""
    scored = [cells for cells in group if cells.scores and not cells.selected]
    draws = draws_of_all(scored, metric)
    if not draws.tables:
        return None
    return BudgetScores(draws.rows, draws.tables, metric, higher_is_better)


def scores_by_budget(rows: Sequence[RowCells]) -> Iterator[BudgetScores]:
    """The headline scores of the budgets at which any method is scored."""
    for group in rows_by_budget(rows):
        budget = budget_scores(group, HEADLINE[group[0].row.task])
        if budget is not None:
            yield budget


def metric_gains(
    group: Sequence[RowCells], column: ColumnFacts, reference: str
) -> list[MetricGain]:
    """What each row of a budget gains over the reference in one metric; positive is better."""
    bases = find_bases(group, reference)
    by_row = paired_gains(group, bases, column.key, column.better == "higher")
    gains = []
    for cells in group:
        paired = by_row.get(cells.row)
        if paired is not None:
            gains.append(_metric_gain(cells, column, bases[cells.row], paired))
    return gains


def _metric_gain(
    cells: RowCells, column: ColumnFacts, base: RowCells, paired: PairedGain
) -> MetricGain:
    sign = 1 if column.better == "higher" else -1
    gain = paired.gain
    lo, hi = _turned(gain.lo, gain.hi, sign)
    adjusted_lo, adjusted_hi = _turned(gain.bar_lo, gain.bar_hi, sign)
    is_tested = paired.is_tested
    of_draws = sign * paired.differences.mean(0) + 0.0  # no -0.0
    return MetricGain(
        task=cells.row.task,
        dataset=cells.row.dataset,
        labelled=cells.row.labelled,
        fraction=cells.fraction,
        method=cells.row.method,
        variant=cells.row.variant,
        metric=column.key,
        against=base.row.variant,
        mean=sign * gain.mean + 0.0,
        lo=lo,
        hi=hi,
        adjusted_lo=adjusted_lo if is_tested else None,
        adjusted_hi=adjusted_hi if is_tested else None,
        p=gain.adjusted_p if is_tested else None,
        verdict=gain.verdict if is_tested else None,
        subsets=list(paired.subsets),
        draws=of_draws.tolist(),
    )


def _turned(lo: float | None, hi: float | None, sign: int) -> tuple[float | None, float | None]:
    """Both ends of an interval, the sign turned where it is -1."""
    if sign == 1 or lo is None or hi is None:
        return lo, hi
    return 0.0 - hi, 0.0 - lo


def choose_shown(budget: BudgetScores, reference: str) -> list[str]:
    """The reference and the best means, best first, MOST at most."""
    best_first = intervals.best_first(budget.tables, budget.higher_is_better)
    references = []
    for name in best_first:
        if budget.rows[name].row.contender == (reference, DEFAULT):
            references.append(name)
    others = [name for name in best_first if name not in references]
    shown = {*references, *others[: MOST - len(references)]}
    return [name for name in best_first if name in shown]


def rank_shares(budget: BudgetScores, shown: Sequence[str]) -> list[RankShares]:
    """In which share of draws of the true means each method shown is first, second, and so on."""
    distributions = rank_distributions(budget.tables, budget.higher_is_better, budget.shared)
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
                metric=budget.metric,
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
    pairs = []
    for test in compare_all_pairs(budget.shared, shown):
        pairs.append(_method_pair(budget, test))
    return pairs


def _method_pair(budget: BudgetScores, test: PairTest) -> MethodPair:
    cells, other = budget.rows[test.first], budget.rows[test.second]
    difference = budget.tables[test.first] - budget.tables[test.second]
    patients, subsets = difference.shape
    known = budget.shared.difference(test.first, test.second)
    return MethodPair(
        task=cells.row.task,
        dataset=cells.row.dataset,
        labelled=cells.row.labelled,
        fraction=cells.fraction,
        method=cells.row.method,
        variant=cells.row.variant,
        other=other.row.method,
        other_variant=other.row.variant,
        mean=test.mean,
        lo=test.lo,
        hi=test.hi,
        interval=intervals.kind_of_difference(patients, subsets, test.p is not None),
        superiority=intervals.probability_of_superiority(difference),
        p=test.adjusted_p,
        false_outperformance=known.false_outperformance(),
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


def planning_notes(rows: Sequence[RowCells]) -> list[PlanningNote]:
    """A note for each budget at which two methods have scores of two draws and two patients."""
    notes = []
    for budget in scores_by_budget(rows):
        components = measured_components(budget.shared)
        if components is not None:
            notes.append(_planning_note(budget, components))
    return notes


def _planning_note(budget: BudgetScores, components: Components) -> PlanningNote:
    first = next(iter(budget.rows.values()))
    patients, draws = budget.shared.shape
    methods = len(set(budget.shared.same_as.values()))
    return PlanningNote(
        task=first.row.task,
        dataset=first.row.dataset,
        labelled=first.row.labelled,
        fraction=first.fraction,
        text=note_text(components, patients, draws, methods),
    )


def note_text(components: Components, patients: int, draws: int, methods: int) -> str:
    """The sentence for one budget; half-width and draws are those of an adjusted verdict."""
    gains = max(1, methods - 1)
    sentence = planning_sentence(components, patients, draws, methods, comparisons=gains)
    adjusted = f", adjusted for {gains} gains" if gains > 1 else ""
    return f"{draws} draws{adjusted}: {sentence}." if draws > 1 else f"1 draw: {sentence}."
