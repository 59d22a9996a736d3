"""Words for differences: better, worse or not resolved, from one adjustment for each family.

The gains over the reference are one family, adjusted by Bonferroni, so that bar and word agree:
the bar of a gain excludes 0 exactly where the word is "better" or "worse". Dunnett's adjustment
makes bars shorter, but it relies on a common variance: with 7 equal methods whose draw variances
differ, 100 patients and 2 draws it gave a verdict on 8.8% of simulated boards, Bonferroni on 6.7%.
Holm's rule over the gains finds hardly more, and has no bars.

All pairs are another family, adjusted by Holm's rule. It also decides which methods are not
separated from the best one: the best is picked after looking, so that tests against it alone
separated equal methods on up to 14% of simulated boards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

from bench.stats import many_pairs
from bench.stats.intervals import LEVEL, holm_adjusted
from bench.stats.shared_variance import Difference, SharedVariance, all_pairs

Verdict = Literal["better", "worse", "not resolved"]


@dataclass(frozen=True, slots=True)
class Gain:
    """The mean difference of a method to its reference, in the unit of the score.

    `lo` and `hi` are the 95% interval of this gain alone, None with one patient. `bar_lo` and
    `bar_hi` are adjusted for all gains of the board, as `adjusted_p` is. These and `p` are None
    where nothing is tested; the verdict is then "not resolved".
    """

    method: str
    reference: str
    mean: float
    lo: float | None
    hi: float | None
    bar_lo: float | None
    bar_hi: float | None
    p: float | None
    adjusted_p: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class PairTest:
    """The mean difference first - second, with its own 95% interval.

    `p` is that of this pair alone, `adjusted_p` is Holm's over all pairs; both are None where the
    pair is not tested.
    """

    first: str
    second: str
    mean: float
    lo: float | None
    hi: float | None
    p: float | None
    adjusted_p: float | None


def gains_over_references(
    shared: SharedVariance,
    references: Mapping[str, str],
    higher_is_better: bool,
    to_come: int = 0,
) -> dict[str, Gain]:
    """The gain of each method (label) over its reference (label), adjusted for all of these gains.

    A gain that is tested twice counts once: methods with identical tables have the same gain. A
    method that is identical to its reference has a gain of 0, which needs no test. `to_come` counts
    planned gains that cannot be tested yet: without them, a board would be adjusted for few gains
    while its last draw fills up, and its words would say more than when it is whole.
    """
    pairs = list(references.items())
    differences = shared.differences(pairs)
    family = set()
    for (method, reference), difference in zip(pairs, differences, strict=True):
        if difference.tested and not shared.are_identical(method, reference):
            family.add((shared.same_as[method], shared.same_as[reference]))
    comparisons = len(family) + to_come
    gains = {}
    for (method, reference), difference in zip(pairs, differences, strict=True):
        gains[method] = _gain(method, reference, difference, comparisons, higher_is_better)
    return gains


def adjusted_level(comparisons: int) -> float:
    """Level of each of several intervals that hold together at 95%, by Bonferroni."""
    return 1 - (1 - LEVEL) / max(1, comparisons)


def _gain(
    method: str, reference: str, difference: Difference, comparisons: int, higher_is_better: bool
) -> Gain:
    lo, hi = difference.interval() or (None, None)
    bar_lo, bar_hi = None, None
    adjusted_p = None
    p = difference.p_value()
    if p is not None:
        bar_lo, bar_hi = difference.interval(adjusted_level(comparisons)) or (None, None)
        adjusted_p = min(1.0, max(1, comparisons) * p)
    return Gain(
        method=method,
        reference=reference,
        mean=difference.mean,
        lo=lo,
        hi=hi,
        bar_lo=bar_lo,
        bar_hi=bar_hi,
        p=p,
        adjusted_p=adjusted_p,
        verdict=verdict(difference.mean, adjusted_p, higher_is_better),
    )


def verdict(mean: float, adjusted_p: float | None, higher_is_better: bool) -> Verdict:
    """The word for a mean difference and its adjusted p."""
    if adjusted_p is None or adjusted_p >= 1 - LEVEL:
        return "not resolved"
    return "better" if (mean > 0) == higher_is_better else "worse"


def compare_all_pairs(shared: SharedVariance, labels: Sequence[str]) -> list[PairTest]:
    """Each two of the labels, in the order given, with p adjusted by Holm over these pairs.

    Pairs of methods with identical tables are tested once.
    """
    pairs = all_pairs(labels)
    differences = shared.differences(pairs)
    p_values = [difference.p_value() for difference in differences]
    adjusted = _holm_over_distinct(shared, pairs, p_values)
    tests = []
    for (first, second), difference, p in zip(pairs, differences, p_values, strict=True):
        lo, hi = difference.interval() or (None, None)
        adjusted_p = adjusted.get(_distinct_pair(shared, first, second), p)
        tests.append(PairTest(first, second, difference.mean, lo, hi, p, adjusted_p))
    return tests


def _distinct_pair(shared: SharedVariance, first: str, second: str) -> frozenset[str]:
    """What pairs of the same tables have in common; a single label if both tables are identical."""
    return frozenset((shared.same_as[first], shared.same_as[second]))


def _holm_over_distinct(
    shared: SharedVariance,
    pairs: Sequence[tuple[str, str]],
    p_values: Sequence[float | None],
) -> dict[frozenset[str], float]:
    """Holm's adjusted p of each distinct pair that is tested; p is None or NaN of others."""
    tested: dict[frozenset[str], float] = {}
    for (first, second), p in zip(pairs, p_values, strict=True):
        if p is not None and not isnan(p) and not shared.are_identical(first, second):
            tested[_distinct_pair(shared, first, second)] = p
    return dict(zip(tested, holm_adjusted(list(tested.values())), strict=True))


def not_separated_from_best(shared: SharedVariance, higher_is_better: bool) -> frozenset[str]:
    """The best mean, and all methods that Holm's rule over all pairs cannot tell from it."""
    sign = 1 if higher_is_better else -1
    best = min(shared.labels, key=lambda label: (-sign * shared.mean(label), label))
    patients, _ = shared.shape
    if patients < 2 or len(shared.labels) < 2:
        return frozenset(shared.labels)
    if many_pairs.can_compute(shared, shared.labels):
        return many_pairs.not_separated(shared, best)
    pairs = shared.every_pair.pairs
    p_values = shared.every_pair.p_values().tolist()
    adjusted = _holm_over_distinct(shared, pairs, p_values)
    kept = {best}
    for first, second in pairs:
        p = adjusted.get(_distinct_pair(shared, first, second))
        if best in (first, second) and (p is None or p >= 1 - LEVEL):
            kept.update((first, second))
    return frozenset(kept)
