"""How many draws of the labels a gain needs, from how much differences vary.

A difference of two methods over n patients and s draws has the standard error

    sqrt(sd_draw^2 / s + sd_patient^2 / n + sd_rest^2 / (n s)),

with the degrees of freedom of R4.1 where the variance between draws is shared by all methods
(`shared_variance`). More draws shrink the first and last term alone: where sd_patient^2 / n is too
large for a gain, only more patients help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.stats.intervals import MeanSquares, combine_mean_squares, mean_squares
from bench.stats.moderation import freedom_of_draws
from bench.stats.shared_variance import (
    FEWEST_COMPARISONS,
    FEWEST_COMPARISONS_WITH_TWO_DRAWS,
)
from bench.stats.verdicts import adjusted_level

POWER = 0.8
MOST_DRAWS = 30
PLANNED_GAINS = (0.05, 0.10)
VERY_MANY = 10**9  # patients, when asking whether more of them would help


@dataclass(frozen=True, slots=True)
class Components:
    """Standard deviations of a difference of two methods, in the unit of the score.

    `draw` is that of the draw's effect, `patient` that of the patient's, `rest` that of what is
    left of one score.
    """

    draw: float
    patient: float
    rest: float


@dataclass(frozen=True, slots=True)
class Assumption:
    """Components of a difference in Dice before any run, and where they were measured."""

    components: Components
    source: str


# Of 14 methods with 4 of 40 patients labelled, over one pair of draws, and therefore rough.
OF_SHORT_RUNS = Assumption(
    Components(draw=0.125, patient=0.180, rest=0.227), "after 100 steps on phantoms"
)
# Of the three gains of boards/acdc after 2,000 steps with 3 of 70 patients labelled, five draws.
OF_LONG_RUNS = Assumption(
    Components(draw=0.067, patient=0.052, rest=0.138), "on the published board of ACDC"
)
LONG_RUN = 1000  # steps


def assumed_before_runs(steps: int) -> Assumption:
    """What to plan draws by where no run of a suite is finished, by the length of its trainings."""
    return OF_LONG_RUNS if steps >= LONG_RUN else OF_SHORT_RUNS


@dataclass(frozen=True, slots=True)
class DrawsNeeded:
    """Draws with which a gain is found with 80% power; None if more than 30.

    `patients_limit` says that 30 draws would be enough with more patients.
    """

    gain: float
    draws: int | None
    patients_limit: bool


def measured_components(differences: NDArray[np.float64]) -> Components | None:
    """Components of a difference, from the mean squares of a board's gains (gains x n x s).

    Pairs without the reference vary otherwise where the reference reacts most to draws, as a
    method without unlabelled images may. None without gains, with one patient or one draw.
    """
    gains, patients, draws = differences.shape
    if not gains or patients < 2 or draws < 2:
        return None
    case, subset, residual = (float(each.mean()) for each in mean_squares(differences))
    return Components(
        draw=max(0.0, (subset - residual) / patients) ** 0.5,
        patient=max(0.0, (case - residual) / draws) ** 0.5,
        rest=residual**0.5,
    )


def expected_error(
    components: Components, patients: int, draws: int, methods: int
) -> tuple[float, float]:
    """Standard error of a difference and its degrees of freedom; n, s > 1."""
    residual = components.rest**2
    case = residual + draws * components.patient**2
    subset = residual + patients * components.draw**2
    subset_freedom: float = draws - 1
    lower_bound: float = draws - 1
    if methods - 1 >= FEWEST_COMPARISONS:
        subset_freedom = freedom_of_draws(draws, (methods - 1) * (draws - 1))
        lower_bound = min(subset_freedom, patients - 1)
    squares = MeanSquares(np.array(case), np.array(subset), np.array(residual))
    variance, freedom = combine_mean_squares(squares, patients, draws, subset_freedom)
    return float(variance**0.5), max(float(freedom), lower_bound)


def half_width(
    components: Components, patients: int, draws: int, methods: int, comparisons: int = 1
) -> float | None:
    """Expected half-width of the 95% interval of a gain; None with one draw or patient.

    With `comparisons` it is that of a bar adjusted for so many gains.
    """
    from scipy.special import stdtrit

    if draws < 2 or patients < 2:
        return None
    error, freedom = expected_error(components, patients, draws, methods)
    return error * float(stdtrit(freedom, 0.5 + adjusted_level(comparisons) / 2))


def draws_needed(
    components: Components, gain: float, patients: int, methods: int, comparisons: int = 1
) -> DrawsNeeded:
    """The smallest number of draws with which a gain is found with 80% power at the 5% level.

    That is the case if the gain is as large as (t(0.975) + t(0.80)) standard errors: half-width
    alone would find it in every second run only. With `comparisons` the test is adjusted for so
    many gains. A board of fewer than 7 methods needs 3 draws for any verdict.
    """
    wanted = abs(gain)
    fewest = 2 if methods - 1 >= FEWEST_COMPARISONS_WITH_TWO_DRAWS else 3
    for draws in range(fewest, MOST_DRAWS + 1):
        if detectable_gain(components, patients, draws, methods, comparisons) <= wanted:
            return DrawsNeeded(gain, draws, False)
    with_patients = detectable_gain(components, VERY_MANY, MOST_DRAWS, methods, comparisons)
    return DrawsNeeded(gain, None, with_patients <= wanted)


def detectable_gain(
    components: Components, patients: int, draws: int, methods: int, comparisons: int = 1
) -> float:
    """The gain that is found with 80% power; infinite with one patient."""
    from scipy.special import stdtrit

    if patients < 2:
        return float("inf")
    error, freedom = expected_error(components, patients, draws, methods)
    upper = 0.5 + adjusted_level(comparisons) / 2
    return error * float(stdtrit(freedom, upper) + stdtrit(freedom, POWER))


def planning_sentence(
    components: Components,
    patients: int,
    draws: int,
    methods: int,
    gains: Sequence[float] = PLANNED_GAINS,
    comparisons: int = 1,
    noun: str = "draw",
    width: float | None = None,
) -> str:
    """What a board can resolve, and with how many draws it could resolve given gains.

    For example "half-width now 0.22; a gain of 0.10 needs about 15 draws". `noun` is what there
    are several of, in the singular: at all labels, trainings are repeated without a draw. `width`
    is the half-width that the board's bars have, where there are any.
    """
    if width is None:
        width = half_width(components, patients, draws, methods, comparisons)
    parts = []
    if width is not None:
        parts.append(f"half-width now {width:.2g}")
    for gain in gains:
        needed = draws_needed(components, gain, patients, methods, comparisons)
        parts.append(_words_for_gain(needed, f"{noun}s"))
    return "; ".join(parts)


def _words_for_gain(needed: DrawsNeeded, draws: str) -> str:
    gain = f"a gain of {needed.gain:.2f}"
    if needed.draws is not None:
        return f"{gain} needs about {needed.draws} {draws}"
    if needed.patients_limit:
        return f"{gain} cannot be resolved with {MOST_DRAWS} {draws}: more patients are needed"
    return f"{gain} cannot be resolved with {MOST_DRAWS} {draws}, however many patients there are"
