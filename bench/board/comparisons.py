"""Comparison at one budget: gains and ranks by metric, all pairs, other rules, draws needed.

Gains and ranks stand for each compared metric, all else for the headline of each task, over the
subsets that all methods of a budget have. A method that failed counts as worst here, as everywhere;
a checkpoint chosen on a list is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.board.columns import COLUMNS
from bench.board.rows import RowCells, seed_name
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
    Budget,
    PairedGain,
    SharedDraws,
    count_gains_to_come,
    find_bases,
    paired_gains,
)
from bench.names import DEFAULT, RowId, draw_noun
from bench.stats import intervals
from bench.stats.fold_planning import (
    FoldComponents,
    FoldDesign,
    fold_planning_sentence,
    measured_fold_components,
)
from bench.stats.planning import Components, measured_components, planning_sentence
from bench.stats.ranking import Ordering, order_by_rules, rank_agreement
from bench.stats.verdicts import PairTest, compare_all_pairs

MOST = 12  # methods in a matrix: the reference and the best means; nobody reads more


@dataclass
class Comparisons:
    """The parts of a Board that compare methods with each other."""

    gains: list[MetricGain] = field(default_factory=list)
    stability: list[RankShares] = field(default_factory=list)
    pairs: list[MethodPair] = field(default_factory=list)
    orderings: list[RuleOrdering] = field(default_factory=list)
    planning: list[PlanningNote] = field(default_factory=list)


def compared_columns(columns: Sequence[ColumnFacts]) -> list[ColumnFacts]:
    """The metrics with gains and shares of ranks: the headlines first, those of plug-ins last."""
    built_in = {column.key for column in COLUMNS}
    by_key = {column.key: column for column in columns}
    compared = [by_key[key] for keys in COMPARED.values() for key in keys]
    return [*compared, *(column for column in columns if column.key not in built_in)]


def compare_methods(
    budgets: Sequence[Budget], reference: str, columns: Sequence[ColumnFacts]
) -> Comparisons:
    """All comparisons of a plan; gains and shares of ranks by each of these columns."""
    comparisons = Comparisons(planning=planning_notes(budgets, reference))
    ranked_by_case = {column.key for column in COLUMNS if column.pairs}
    for budget in budgets:
        for column in columns:
            if column.task == budget.task:
                comparisons.gains += metric_gains(budget, column, reference)
                ranked = budget.draws(column.key, column.better == "higher")
                comparisons.stability += rank_shares(ranked, choose_shown(ranked, reference))
        headline = budget.draws(HEADLINE[budget.task])
        if not headline.tables:
            continue
        shown = choose_shown(headline, reference)
        comparisons.pairs += method_pairs(headline, shown)
        # A metric of a whole test set has no ranks by case and no worst cases.
        if HEADLINE[budget.task] in ranked_by_case:
            comparisons.orderings.append(rule_ordering(headline, shown))
    return comparisons


def metric_gains(budget: Budget, column: ColumnFacts, reference: str) -> list[MetricGain]:
    """What each row of a budget gains over the reference in one metric; positive is better."""
    bases = find_bases(budget, reference)
    by_row = paired_gains(budget, bases, column.key, column.better == "higher")
    gains = []
    for cells in budget.rows:
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
    of_subsets = paired.means_of_subsets(cells.folds)
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
        subsets=list(of_subsets),
        draws=[sign * mean + 0.0 for mean in of_subsets.values()],  # no -0.0
    )


def _turned(lo: float | None, hi: float | None, sign: int) -> tuple[float | None, float | None]:
    """Both ends of an interval, the sign turned where it is -1."""
    if sign == 1 or lo is None or hi is None:
        return lo, hi
    return 0.0 - hi, 0.0 - lo


def choose_shown(draws: SharedDraws, reference: str) -> list[str]:
    """The reference and the best means, best first, MOST at most."""
    best_first = intervals.best_first(draws.tables, draws.higher_is_better)
    references = []
    for name in best_first:
        if draws.rows[name].row.contender == (reference, DEFAULT):
            references.append(name)
    others = [name for name in best_first if name not in references]
    shown = {*references, *others[: MOST - len(references)]}
    return [name for name in best_first if name in shown]


def rank_shares(draws: SharedDraws, shown: Sequence[str]) -> list[RankShares]:
    """In which share of draws of the true means each method shown is first, second, and so on."""
    shares = []
    for name in shown:
        cells = draws.rows[name]
        shares.append(
            RankShares(
                task=cells.row.task,
                dataset=cells.row.dataset,
                labelled=cells.row.labelled,
                fraction=cells.fraction,
                method=cells.row.method,
                variant=cells.row.variant,
                methods=len(draws.tables),
                shares=_without_trailing_zeros(draws.ranks[name].shares),
                metric=draws.metric,
            )
        )
    return shares


def _without_trailing_zeros(shares: Sequence[float]) -> list[float]:
    kept = list(shares)
    while kept and kept[-1] <= 0:
        kept.pop()
    return kept


def method_pairs(draws: SharedDraws, shown: Sequence[str]) -> list[MethodPair]:
    """Each two of the methods shown; p is adjusted after Holm over all of these pairs."""
    pairs = []
    for test in compare_all_pairs(draws.shared, shown):
        pairs.append(_method_pair(draws, test))
    return pairs


def _method_pair(draws: SharedDraws, test: PairTest) -> MethodPair:
    cells, other = draws.rows[test.first], draws.rows[test.second]
    difference = draws.tables[test.first] - draws.tables[test.second]
    patients, subsets = difference.shape
    subsets *= intervals.fold_count(draws.folds)
    known = draws.shared.difference(test.first, test.second)
    superiority_ends = None
    if test.p is not None:
        superiority_ends = intervals.superiority_interval(difference, draws.folds)
    superiority_lo, superiority_hi = superiority_ends or (None, None)
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
        superiority_lo=superiority_lo,
        superiority_hi=superiority_hi,
        p=test.adjusted_p,
        false_outperformance=known.false_outperformance(),
    )


def rule_ordering(draws: SharedDraws, shown: Sequence[str]) -> RuleOrdering:
    """Value and rank of each method shown under each rule (R4.4); Kendall's tau over all."""
    by_rule = order_by_rules(draws.tables, True)
    taus = []
    for rules, tau in rank_agreement(by_rule).items():
        taus.append(RuleAgreement(list(rules), tau))
    first = draws.rows[shown[0]]
    return RuleOrdering(
        task=first.row.task,
        dataset=first.row.dataset,
        labelled=first.row.labelled,
        fraction=first.fraction,
        methods=[_method_ranks(draws.rows[name], name, by_rule) for name in shown],
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


def planning_notes(budgets: Sequence[Budget], reference: str) -> list[PlanningNote]:
    """A note for each budget with a gain over the reference in two draws of two patients.

    With outer folds, a single draw of each is enough.
    """
    notes = []
    for budget in budgets:
        draws = budget.draws(HEADLINE[budget.task])
        text = _planning_text(budget, draws, reference) if draws.tables else None
        if text is not None:
            first = next(iter(draws.rows.values()))
            note = PlanningNote(
                task=first.row.task,
                dataset=first.row.dataset,
                labelled=first.row.labelled,
                fraction=first.fraction,
                text=text,
            )
            notes.append(note)
    return notes


def _planning_text(budget: Budget, draws: SharedDraws, reference: str) -> str | None:
    """The sentence for one budget; None where too little is measured."""
    noun = draw_noun(next(iter(draws.rows.values())).fraction)
    patients, count = draws.shared.shape
    bases = find_bases(budget, reference)
    gains = paired_gains(budget, bases, draws.metric, draws.higher_is_better)
    tested = [seed_name(row) for row, paired in gains.items() if paired.is_tested]
    methods = len(set(draws.shared.same_as.values()))
    methods += count_gains_to_come(budget, bases, tested)
    measured = _measured_gains(draws, bases, gains)
    if not measured:
        return None
    differences = [paired.differences for paired in measured]
    width = _mean_half_width(measured)
    if draws.folds is not None:
        of_folds = measured_fold_components(np.stack(differences), draws.folds)
        if of_folds is None:
            return None
        design = FoldDesign(patients, intervals.fold_count(draws.folds), methods)
        return fold_note_text(of_folds, count, design, noun, width)
    components = measured_components(np.stack(differences))
    if components is None:
        return None
    return note_text(components, patients, count, methods, noun, width)


def _measured_gains(
    draws: SharedDraws, bases: Mapping[RowId, RowCells], gains: Mapping[RowId, PairedGain]
) -> list[PairedGain]:
    """The gains that tell how much a difference varies: of two methods without failed cells."""
    tables = draws.shared.tables
    measured = []
    for row, paired in gains.items():
        pair = (seed_name(row), seed_name(bases[row].row))
        is_measured = paired.is_tested and all(tables[name].pooled for name in pair)
        if is_measured and paired.differences.any():
            measured.append(paired)
    return measured


def _mean_half_width(gains: Sequence[PairedGain]) -> float | None:
    """Half the mean length of the bars; None where there are none."""
    widths = []
    for paired in gains:
        if paired.gain.bar_lo is not None and paired.gain.bar_hi is not None:
            widths.append((paired.gain.bar_hi - paired.gain.bar_lo) / 2)
    return float(np.mean(widths)) if widths else None


def note_text(
    components: Components,
    patients: int,
    draws: int,
    methods: int,
    noun: str = "draw",
    width: float | None = None,
) -> str:
    """The sentence for one budget; half-width and draws are those of an adjusted verdict."""
    gains = max(1, methods - 1)
    sentence = planning_sentence(
        components, patients, draws, methods, comparisons=gains, noun=noun, width=width
    )
    if draws == 1:
        return f"1 {noun}: {sentence}."
    return f"{draws} {noun}s{_adjusted_words(gains)}: {sentence}."


def fold_note_text(
    components: FoldComponents,
    draws: int,
    design: FoldDesign,
    noun: str = "draw",
    width: float | None = None,
) -> str:
    """The same with outer folds; `draws` are those of each fold."""
    sentence = fold_planning_sentence(components, draws, design, noun, width=width)
    plural = "" if draws == 1 else "s"
    adjusted = _adjusted_words(design.comparisons)
    return f"{draws} {noun}{plural} in each of {design.folds} folds{adjusted}: {sentence}."


def _adjusted_words(gains: int) -> str:
    return f", adjusted for {gains} gains" if gains > 1 else ""
