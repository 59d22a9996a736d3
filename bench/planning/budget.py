"""Label budgets: how many patients are labelled, and in which order they are drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from random import Random

from bench.errors import BenchError


def labelled_count(fraction: float, patients: int) -> int:
    """L = max(2, round(f n)) labelled patients, all of them at 1.0 (protocol R1.1)."""
    if not 0 < fraction <= 1:
        raise BenchError(
            f"fraction {fraction:g} given; expected above 0 and at most 1; fix it in the suite"
        )
    if fraction == 1:
        return patients
    return min(patients, max(2, round(fraction * patients)))


def budgets(fractions: Sequence[float], patients: int) -> dict[float, int]:
    """L for each fraction. Raises BenchError if two fractions give the same L."""
    counts: dict[float, int] = {}
    for fraction in fractions:
        count = labelled_count(fraction, patients)
        for other, other_count in counts.items():
            if other_count == count:
                raise BenchError(
                    f"fractions {other:g} and {fraction:g} both come to {count} of {patients} "
                    "patients; expected different budgets; "
                    "drop one, or give 'labelled: [...]' instead"
                )
        counts[fraction] = count
    return counts


def stratified_order(strata: Mapping[str, Hashable], seed: int) -> list[str]:
    """All groups in a random order; every prefix has about the same share of each stratum.

    Member k of m in its stratum gets the position (k + u) / m, with u uniform in [0, 1). A budget
    is a prefix of this order (protocol R1.4).
    """
    random = Random(seed)
    members: dict[Hashable, list[str]] = defaultdict(list)
    for group in sorted(strata):
        members[strata[group]].append(group)
    positions: list[tuple[float, str]] = []
    for stratum in sorted(members, key=repr):
        groups = members[stratum]
        random.shuffle(groups)
        for k, group in enumerate(groups):
            positions.append(((k + random.random()) / len(groups), group))
    return [group for _, group in sorted(positions)]


def draw_test_groups(strata: Mapping[str, Hashable], seed: int) -> list[str]:
    """Test patients of data without a split of its own: 20%, at least 2, stratified; sorted."""
    count = max(2, round(0.2 * len(strata)))
    if count >= len(strata):
        raise BenchError(
            f"{len(strata)} patients given; "
            "expected at least 4, two to test and two to train; add patients"
        )
    return sorted(stratified_order(strata, seed)[:count])


def tertiles(values: Mapping[str, float]) -> dict[str, int]:
    """The third of the sorted values, 0, 1 or 2, that each name falls in; ties go by name."""
    ranked = sorted(values, key=lambda name: (values[name], name))
    return {name: 3 * rank // len(ranked) for rank, name in enumerate(ranked)}


Fold = tuple[tuple[str, ...], tuple[str, ...]]  # patients to fit, patients to hold out


def folds_of(labelled: Sequence[str], folds: int) -> list[Fold]:
    """The folds of tuning over the L labelled patients of a budget, in the order they were drawn.

    One hold-out of positions 3, 7, 11, ... if that gives it 3 patients or more, else min(L, folds)
    folds (protocol R2.4). Raises ValueError if L is less than two.
    """
    if len(labelled) < 2:
        raise ValueError(
            f"{len(labelled)} labelled patients given; "
            "tuning needs two, one to fit and one to score"
        )
    if len(labelled) // 4 >= 3:
        return [_hold_out(labelled, range(3, len(labelled), 4))]
    count = min(len(labelled), folds)
    return [_hold_out(labelled, range(first, len(labelled), count)) for first in range(count)]


def _hold_out(labelled: Sequence[str], positions: range) -> Fold:
    kept = [patient for number, patient in enumerate(labelled) if number not in positions]
    held = [labelled[number] for number in positions]
    return tuple(kept), tuple(held)
