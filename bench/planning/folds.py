"""Which labelled patients a trial of tuning is scored on. Pure."""

from __future__ import annotations

from collections.abc import Sequence

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
