"""Schedules as functions of progress t/T, so that a short run follows the course of a long one.

Formulas and their sources: docs/methods/common.md#schedules.
"""

from __future__ import annotations

import math

# A floor of t/T that should be whole must not end one lower because of rounding.
ROUNDING = 1e-9


def sigmoid_ramp(progress: float, end: float, stairs: int, start: float = 0.0) -> float:
    """exp(-5 (1 - x)^2) with x = progress / end in `stairs` steps, at most 1; 0 before `start`.

    The released codes compute x = floor(t / 150) / R: `stairs` is R and `end` is 150 R / T.
    """
    if progress < start:
        return 0.0
    stair = min(math.floor(progress / end * stairs + ROUNDING), stairs)
    return math.exp(-5 * (1 - stair / stairs) ** 2)


def step_decay(progress: float, every: float, factor: float) -> float:
    """factor^n after n whole periods; `every` is the length of a period as a share of the run."""
    return factor ** math.floor(progress / every + ROUNDING)


def polynomial_decay(progress: float) -> float:
    """(1 - progress)^0.9."""
    return (1 - progress) ** 0.9


def ema_decay(step: int, steps: int, half_life: float) -> float:
    """Share of its old value that a moving average keeps at step t: min(1 - 1/(t+1), 2^(-1/(h T))).

    `half_life` is h, a share of the run (docs/methods/common.md#teachers, eq. 3).
    """
    return min(1 - 1 / (step + 1), 0.5 ** (1 / (half_life * steps)))
