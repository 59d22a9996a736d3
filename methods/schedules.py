"""Schedules as functions of progress t/T in [0, 1], so that a short run follows the same course as a long one."""

from __future__ import annotations

import math


def sigmoid_ramp(progress: float, end: float, stairs: int, start: float = 0.0) -> float:
    """exp(-5 (1 - x)^2) with x = progress / end, up to 1, in `stairs` steps; 0 before `start`.

    The released codes use floor(t / 150) / R: end = 150 R / T and stairs = R (common protocol, section 4).
    """
    if progress < start:
        return 0.0
    # A floor of t/T that should be whole must not fall one stair lower for rounding.
    stair = min(math.floor(progress / end * stairs + 1e-9), stairs)
    return math.exp(-5 * (1 - stair / stairs) ** 2)


def step_decay(progress: float, every: float, factor: float) -> float:
    """factor^n after n full periods of `every` (a share of the run)."""
    return factor ** math.floor(progress / every + 1e-9)


def polynomial_decay(progress: float) -> float:
    """(1 - progress)^0.9 (common protocol, section 4)."""
    return (1 - progress) ** 0.9


def ema_decay(step: int, steps: int, half_life: float) -> float:
    """Share of the old average that step t keeps: min(1 - 1/(t + 1), 2^(-1/h)), h = half_life T steps."""
    return min(1 - 1 / (step + 1), 0.5 ** (1 / (half_life * steps)))
