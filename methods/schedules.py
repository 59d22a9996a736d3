"""Schedules as functions of progress t/T, so that a short run follows the course of a long one.

Teachers alone have a floor in steps, below which they would equal their students.
Formulas and their sources: docs/methods/common.md#schedules.
"""

from __future__ import annotations

import math

# A floor of t/T that should be whole must not end one lower because of rounding.
ROUNDING = 1e-9
# Steps: a fifth of the half-life of 0.99 a step. A teacher keeps at least 0.951 of itself a step.
LEAST_HALF_LIFE = 68.9676 / 5
LONGEST_HALF_LIFE = 693.0  # steps that tuning may choose: 0.999 a step


def sigmoid_ramp(progress: float, end: float, stairs: int, start: float = 0.0) -> float:
    """exp(-5 (1 - x)^2) with x = progress / end in `stairs` steps; 0 before `start`, 1 from `end`.

    With an end of 0 there is no ramp.
    The released codes compute x = floor(t / 150) / R: `stairs` is R and `end` is 150 R / T.
    """
    if progress < start:
        return 0.0
    if progress >= end:
        return 1.0
    stair = math.floor(progress / end * stairs + ROUNDING)
    return math.exp(-5 * (1 - stair / stairs) ** 2)


def step_decay(progress: float, every: float, factor: float) -> float:
    """factor^n after n whole periods; `every` is the length of a period as a share of the run."""
    return factor ** math.floor(progress / every + ROUNDING)


def polynomial_decay(progress: float) -> float:
    """(1 - progress)^0.9."""
    return (1 - progress) ** 0.9


def ema_decay(step: int, steps: int, half_life: float, floor: float = LEAST_HALF_LIFE) -> float:
    """Share of its old value that a moving average keeps at step t: min(1 - 1/(t+1), late share).

    See `late_ema_decay` and docs/methods/common.md#teachers, eq. 3.
    """
    return min(1 - 1 / (step + 1), late_ema_decay(steps, half_life, floor))


def late_ema_decay(steps: int, half_life: float, floor: float = LEAST_HALF_LIFE) -> float:
    """2^(-1/H) with H = max(h T, floor) steps: `half_life` is h, a share of the run of T steps."""
    return float(0.5 ** (1 / max(half_life * steps, floor)))
