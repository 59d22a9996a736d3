"""How many draws a gain needs with outer folds, where each fold has draws of its own (R4.1c).

The variance of a mean difference over n patients in F folds, with s draws in each, is MSf / (n s).
In expectation it is

    (between^2 + within^2 / s) / n,

where `between` holds what all draws of a fold have in common, its patients first of all, and
`within` what differs from draw to draw. More draws shrink the second part alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.stats.intervals import Folds, fold_count, mean_square_of_folds
from bench.stats.moderation import Pool, freedom_of_draws
from bench.stats.planning import MOST_DRAWS, PLANNED_GAINS, POWER, Components
from bench.stats.shared_variance import FEWEST_COMPARISONS, supports_test
from bench.stats.verdicts import adjusted_level


@dataclass(frozen=True, slots=True)
class FoldComponents:
    """Standard deviations of a difference of two methods, per patient, in the unit of the score.

    `within` is None where a single draw of each fold does not tell it from `between`.
    """

    between: float
    within: float | None


@dataclass(frozen=True, slots=True)
class FoldDesign:
    """What a board with outer folds has: patients in all, and methods with different scores."""

    patients: int
    folds: int
    methods: int

    @property
    def comparisons(self) -> int:
        """The gains over the reference, for which verdicts are adjusted."""
        return max(1, self.methods - 1)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the variance of a gain; F > 1."""
        if self.methods - 1 < FEWEST_COMPARISONS:
            return self.folds - 1
        return freedom_of_draws(self.folds, (self.methods - 1) * (self.folds - 1))

    @property
    def allows_verdicts(self) -> bool:
        """Whether there are enough folds for a test; more draws would not change that."""
        pool = None
        if self.methods - 1 >= FEWEST_COMPARISONS:
            pool = Pool(0.0, self.methods - 1)
        return supports_test(pool, self.folds)


def measured_fold_components(
    differences: NDArray[np.float64], folds: Folds
) -> FoldComponents | None:
    """Components of a difference, from the mean squares of a board's gains (gains x n x s).

    None without gains, or with fewer than 2 folds.
    """
    gains, _, draws = differences.shape
    if not gains or fold_count(folds) < 2:
        return None
    of_folds = float(mean_square_of_folds(differences, folds).mean())
    if draws == 1:
        return FoldComponents(between=of_folds**0.5, within=None)
    of_draws = float(_mean_square_within_folds(differences, folds).mean())
    between = max(0.0, (of_folds - of_draws) / draws)
    # What is left, so that both together are the variance behind today's intervals.
    within = of_folds - draws * between
    return FoldComponents(between=between**0.5, within=within**0.5)


def _mean_square_within_folds(tables: NDArray[np.float64], folds: Folds) -> NDArray[np.float64]:
    """Mean square of draws within folds of each table (..., n x s), with F (s - 1) df; s > 1."""
    total = np.zeros(tables.shape[:-2])
    for fold in np.unique(np.asarray(folds)):
        of_fold = tables[..., folds == fold, :]
        patients = of_fold.shape[-2]
        total = total + patients * of_fold.mean(-2).var(-1, ddof=1)
    return np.asarray(total / fold_count(folds))


def expected_fold_components(components: Components, patients: int, folds: int) -> FoldComponents:
    """Components with folds, of methods whose differences have these components without them.

    Folds then differ by their patients and draws alone.
    """
    of_draws = patients / folds * components.draw**2
    return FoldComponents(between=components.patient, within=(of_draws + components.rest**2) ** 0.5)


def fold_error(components: FoldComponents, patients: int, draws: float) -> float:
    """Standard error of a mean difference with that many draws in each fold; they may be infinite.

    Where `within` is unknown, it is that of the single draw that was measured.
    """
    within = components.within or 0.0
    return float(((components.between**2 + within**2 / draws) / patients) ** 0.5)


def fold_half_width(components: FoldComponents, draws: int, design: FoldDesign) -> float:
    """Expected half-width of the 95% interval of a gain, adjusted for all gains; F > 1."""
    from scipy.special import stdtrit

    upper = 0.5 + adjusted_level(design.comparisons) / 2
    error = fold_error(components, design.patients, draws)
    return error * float(stdtrit(design.freedom, upper))


def gain_detectable_with_folds(
    components: FoldComponents, draws: float, design: FoldDesign
) -> float:
    """The gain that gets a verdict with 80% power: (t(0.975) + t(0.80)) errors, t adjusted."""
    from scipy.special import stdtrit

    upper = 0.5 + adjusted_level(design.comparisons) / 2
    error = fold_error(components, design.patients, draws)
    return error * float(stdtrit(design.freedom, upper) + stdtrit(design.freedom, POWER))


def draws_needed_in_each_fold(
    components: FoldComponents, gain: float, design: FoldDesign
) -> int | None:
    """The fewest draws in each fold with which a gain gets a verdict with 80% power, 30 at most."""
    for draws in range(1, MOST_DRAWS + 1):
        if gain_detectable_with_folds(components, draws, design) <= abs(gain):
            return draws
    return None


def fold_planning_sentence(
    components: FoldComponents,
    draws: int,
    design: FoldDesign,
    noun: str = "draw",
    gains: Sequence[float] = PLANNED_GAINS,
    width: float | None = None,
) -> str:
    """What a board can resolve, and with how many draws in each fold it could resolve given gains.

    For example "half-width now 0.22; a gain of 0.10 needs about 5 draws in each fold". `noun` is
    what is repeated in a fold, in the singular. `width` is the half-width that the board's bars
    have, where there are any.
    """
    if width is None:
        width = fold_half_width(components, draws, design)
    parts = [f"half-width now {width:.2g}"]
    if not design.allows_verdicts:
        parts.append("2 folds allow no verdict on fewer than 7 methods, however many draws")
    elif components.within is None:
        parts.append(f"one {noun} in each fold does not tell how much more would help")
    else:
        for gain in gains:
            parts.append(_words_for_gain(components, gain, design, noun))
    return "; ".join(parts)


def _words_for_gain(components: FoldComponents, gain: float, design: FoldDesign, noun: str) -> str:
    what = f"a gain of {gain:.2f}"
    needed = draws_needed_in_each_fold(components, gain, design)
    if needed is not None:
        plural = "" if needed == 1 else "s"
        return f"{what} needs about {needed} {noun}{plural} in each fold"
    if gain_detectable_with_folds(components, float("inf"), design) > abs(gain):
        return f"{what} cannot be resolved by more {noun}s alone: more patients are needed"
    return f"{what} cannot be resolved with {MOST_DRAWS} {noun}s in each fold"
