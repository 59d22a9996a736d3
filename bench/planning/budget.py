"""Label budgets: which patients are labelled. Pure; a fraction-f subset is a prefix of one stratified order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from random import Random

from bench.errors import BenchError


def labelled_count(fraction: float, patients: int) -> int:
    """L = max(2, round(f n)) labelled patients, all of them at 1.0 (protocol R1.1)."""
    if not 0 < fraction <= 1:
        raise BenchError(
            f"fraction {fraction:g} given; expected above 0 and at most 1; mend it in the suite"
        )
    return patients if fraction == 1 else min(patients, max(2, round(fraction * patients)))


def budgets(fractions: Sequence[float], patients: int) -> dict[float, int]:
    """L for each fraction. Raises BenchError where two fractions come to one L."""
    counts: dict[float, int] = {}
    for fraction in fractions:
        count = labelled_count(fraction, patients)
        for other, taken in counts.items():
            if taken == count:
                raise BenchError(
                    f"fractions {other:g} and {fraction:g} both come to {count} of {patients} patients; "
                    "expected different budgets; drop one, or give 'labelled: [...]' instead"
                )
        counts[fraction] = count
    return counts


def stratified_order(strata: Mapping[str, Hashable], seed: int) -> list[str]:
    """All groups in one random order whose every prefix holds each stratum in about its share.

    Member k of m in its stratum gets the place (k + u) / m with u uniform in [0, 1).
    """
    random = Random(seed)
    members: dict[Hashable, list[str]] = defaultdict(list)
    for group in sorted(strata):
        members[strata[group]].append(group)
    places: list[tuple[float, str]] = []
    for stratum in sorted(members, key=repr):
        groups = members[stratum]
        random.shuffle(groups)
        places += [((k + random.random()) / len(groups), group) for k, group in enumerate(groups)]
    return [group for _, group in sorted(places)]


def draw_test_groups(strata: Mapping[str, Hashable], seed: int) -> list[str]:
    """Test patients where the data has no split of its own: max(2, 20%), stratified, sorted."""
    count = max(2, round(0.2 * len(strata)))
    if count >= len(strata):
        raise BenchError(
            f"{len(strata)} patients given; expected at least 4, two to test and two to train; add patients"
        )
    return sorted(stratified_order(strata, seed)[:count])


def tertiles(values: Mapping[str, float]) -> dict[str, int]:
    """0, 1 or 2 for each name: the third of the sorted values it falls in; ties go by name."""
    ranked = sorted(values, key=lambda name: (values[name], name))
    return {name: 3 * rank // len(ranked) for rank, name in enumerate(ranked)}


Fold = tuple[tuple[str, ...], tuple[str, ...]]  # patients to fit, patients held out


def folds_of(labelled: Sequence[str], folds: int) -> list[Fold]:
    """One hold-out of positions 3, 7, 11, ... where it has 3 patients or more; else min(L, folds) folds (R1.1).

    `labelled` are the L patients of a budget in the order they were drawn. Raises ValueError below two.
    """
    if len(labelled) < 2:
        raise ValueError(
            f"{len(labelled)} labelled patients given; tuning needs two, one to fit and one to score"
        )
    if len(labelled) // 4 >= 3:
        return [_parted(labelled, range(3, len(labelled), 4))]
    count = min(len(labelled), folds)
    return [_parted(labelled, range(first, len(labelled), count)) for first in range(count)]


def _parted(labelled: Sequence[str], held: range) -> Fold:
    kept = tuple(patient for place, patient in enumerate(labelled) if place not in held)
    return kept, tuple(labelled[place] for place in held)
