"""What `data check` keeps of each case, and which cases deserve a look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.api import Record

ODD_ASPECT = 1.1  # times the median aspect ratio, or less than that part of it
MOST = 3  # cases of each kind
KINDS = (
    "smallest lesion",
    "largest share of foreground",
    "loses a class on the training grid",
    "darkest",
    "brightest",
    "odd aspect ratio",
)


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """What is kept of one case after reading it."""

    record: Record
    shape: tuple[int, ...]
    spacing: tuple[float, ...] | None
    level: float  # mean of the image
    areas: NDArray[np.float64] | None  # share of each class; None without a mask
    lesions: tuple[NDArray[np.int64], ...]  # sizes of the lesions of each class; none without
    notes: tuple[str, ...]
    # classes that are gone on the training grid, and on each finer one
    lost: tuple[tuple[int, ...], ...]
    thumbnail: NDArray[np.float32]

    @property
    def smallest_lesion(self) -> int | None:
        """Pixels of its smallest lesion; None without any."""
        sizes = [int(of_class.min()) for of_class in self.lesions if of_class.size]
        return min(sizes) if sizes else None

    @property
    def foreground(self) -> float:
        """The share of all classes but the background."""
        return float(self.areas[1:].sum()) if self.areas is not None else 0.0

    @property
    def aspect(self) -> float:
        """Height over width, of the last two axes."""
        return self.shape[-2] / self.shape[-1]


@dataclass(frozen=True, slots=True)
class Extreme:
    """A case that deserves a look, and why."""

    kind: str  # of KINDS
    case: str
    why: str


def extremes(summaries: Sequence[CaseSummary], classes: Sequence[str]) -> list[Extreme]:
    """The cases that deserve a look, at most three of each kind, in the order of KINDS."""
    found = [*_lesion_extremes(summaries), *_lost_extremes(summaries, classes)]
    for kind, sign in ((KINDS[3], 1), (KINDS[4], -1)):
        for one in _lowest(summaries, _by_level(sign)):
            found.append(Extreme(kind, one.record.id, f"mean level {one.level:.4g}"))
    return found + _odd_aspects(summaries)


def _lesion_extremes(summaries: Sequence[CaseSummary]) -> list[Extreme]:
    found = []
    with_lesion = [one for one in summaries if one.smallest_lesion is not None]
    for one in _lowest(with_lesion, lambda one: float(one.smallest_lesion or 0)):
        unit = "pixel" if one.smallest_lesion == 1 else "pixels"
        found.append(Extreme(KINDS[0], one.record.id, f"{one.smallest_lesion} {unit}"))
    for one in _lowest(with_lesion, lambda one: -one.foreground):
        found.append(Extreme(KINDS[1], one.record.id, f"{100 * one.foreground:.1f}% of the pixels"))
    return found


def _lost_extremes(summaries: Sequence[CaseSummary], classes: Sequence[str]) -> list[Extreme]:
    losing = [one for one in summaries if one.lost and one.lost[0]]
    found = []
    for one in losing[:MOST]:
        names = ", ".join(classes[number] for number in one.lost[0])
        found.append(Extreme(KINDS[2], one.record.id, f"nothing is left of {names}"))
    return found


def _by_level(sign: int) -> Callable[[CaseSummary], float]:
    return lambda one: sign * one.level


def _odd_aspects(summaries: Sequence[CaseSummary]) -> list[Extreme]:
    if not summaries:
        return []
    usual = float(np.median([one.aspect for one in summaries]))

    def oddness(one: CaseSummary) -> float:
        return max(one.aspect / usual, usual / one.aspect)

    odd = [one for one in summaries if oddness(one) > ODD_ASPECT]
    found = []
    for one in _lowest(odd, lambda one: -oddness(one)):
        size = "x".join(map(str, one.shape))
        why = f"{size}: height over width {one.aspect:.2f}, median {usual:.2f}"
        found.append(Extreme(KINDS[5], one.record.id, why))
    return found


def _lowest(
    summaries: Sequence[CaseSummary], key: Callable[[CaseSummary], float]
) -> list[CaseSummary]:
    return sorted(summaries, key=key)[:MOST]
