"""Methods against each other at one budget: rank stability, all pairs, and orderings under other rules.

For the headline of each task, over the subsets that all methods of a budget have. A method that failed counts as
worst here, as everywhere; a checkpoint chosen on a list is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.board.rows import Identity, Line
from bench.board.schema import COLUMNS, HEADLINE
from bench.scoring.score_cell import table
from bench.stats import intervals
from bench.stats.ranking import Scores, order_by_rules, rank_agreement, rank_distributions

MOST = 12  # methods in a matrix: the reference and the best means; more than that nobody reads


def compare(lines: Sequence[Line], reference: str) -> dict[str, list[dict[str, Any]]]:
    """The fields `stability`, `pairs` and `orderings` of a Board."""
    found: dict[str, list[dict[str, Any]]] = {"stability": [], "pairs": [], "orderings": []}
    for group, tables in compared(lines):
        chosen = shown(tables, group, reference)
        found["stability"] += stability(tables, group, chosen)
        found["pairs"] += pairs({name: tables[name] for name in chosen}, group)
        metric = next(
            column for column in COLUMNS if column.key == HEADLINE[group[chosen[0]].identity[0]]
        )
        if metric.pairs:  # of a whole test set there are no ranks by case and no worst cases
            found["orderings"] += ordered(tables, group, chosen)
    return found


def compared(
    lines: Sequence[Line],
) -> Iterator[tuple[dict[str, Line], dict[str, NDArray[np.float64]]]]:
    """The lines of each budget and their headline, patients x shared subsets, both by name."""
    for budget in {line.identity[:3]: None for line in lines}:
        here = [
            line
            for line in lines
            if line.identity[:3] == budget and line.scores and not line.selected
        ]
        shared = sorted(set.intersection(*(set(line.scores) for line in here))) if here else []
        tables = {
            name_of(line.identity): table([line.scores[j] for j in shared], HEADLINE[budget[0]])
            for line in here
        }
        usable = {name: values for name, values in tables.items() if values is not None}
        if usable:
            yield {name_of(line.identity): line for line in here}, usable


def name_of(identity: Identity) -> str:
    """One text for a line, by which draws are seeded."""
    return "\n".join(map(str, identity))


def shown(tables: Scores, group: Mapping[str, Line], reference: str) -> list[str]:
    """The reference and the best means, best first, MOST at most."""
    best = intervals.best_first(tables, True)
    judges = [name for name in best if group[name].identity[3:] == (reference, "default")]
    others = [name for name in best if name not in judges][: MOST - len(judges)]
    return [name for name in best if name in judges or name in others]


def stability(
    tables: Scores, group: Mapping[str, Line], chosen: Sequence[str]
) -> list[dict[str, Any]]:
    """Of each method shown, the share of draws of the true means in which it is first, second, ..."""
    ranked = rank_distributions(tables, True)
    return [
        {**_row(group[name]), "methods": len(tables), "shares": list(_trimmed(ranked[name].shares))}
        for name in chosen
    ]


def _trimmed(shares: Sequence[float]) -> Sequence[float]:
    last = max((place for place, value in enumerate(shares) if value > 0), default=-1)
    return shares[: last + 1]


def pairs(tables: Scores, group: Mapping[str, Line]) -> list[dict[str, Any]]:
    """Each two methods: A - B with its interval, P(A > B), Holm's p over all pairs, P(A is not truly better)."""
    couples = list(combinations(tables, 2))
    differences = [tables[a] - tables[b] for a, b in couples]
    adjusted = intervals.holm_adjusted(
        [intervals.p_value(difference) for difference in differences]
    )
    found = []
    for (a, b), difference, p in zip(couples, differences, adjusted, strict=True):
        gap = intervals.mean_interval(difference)
        other = group[b].identity
        found.append(
            {**_row(group[a]), "other": other[3], "other_variant": other[4], "mean": gap.mean, "lo": gap.lo,
             "hi": gap.hi, "interval": gap.kind, "superiority": intervals.probability_of_superiority(difference), "p": p,
             "false_outperformance": intervals.false_outperformance(difference)}
        )  # fmt: skip
    return found


def ordered(
    tables: Scores, group: Mapping[str, Line], chosen: Sequence[str]
) -> list[dict[str, Any]]:
    """Value and rank of each method shown under each rule (R4.4), and Kendall's tau of each two rules over all."""
    found = order_by_rules(tables, True)
    taus = [{"rules": list(rules), "tau": tau} for rules, tau in rank_agreement(found).items()]
    methods = [
        {**_row(group[name]), "rules": {
            rule: {"value": one.values[name], "rank": one.ranks[name]} for rule, one in found.items()}}
        for name in chosen
    ]  # fmt: skip
    task, dataset, labelled = group[chosen[0]].identity[:3]
    place = {
        "task": task,
        "dataset": dataset,
        "labelled": labelled,
        "fraction": group[chosen[0]].fraction,
    }
    return [{**place, "methods": methods, "agreement": taus}]


def _row(line: Line) -> dict[str, Any]:
    task, dataset, labelled, method, variant = line.identity
    return {"task": task, "dataset": dataset, "labelled": labelled, "fraction": line.fraction, "method": method,
            "variant": variant}  # fmt: skip
