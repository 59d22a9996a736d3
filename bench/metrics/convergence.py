"""Whether the training of a generator was long enough, told from its distances (R5.11)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STILL = 0.05  # of the fall in the first quarter; a larger one in the last is no convergence
FEWEST = 5  # points that tell: one at each end of the quarters


def still_falls(shown: Sequence[int], distances: Sequence[float]) -> bool:
    """Whether distances fall in the last quarter by more than 5% of their fall in the first.

    `shown` are the images shown until then, increasing. Between points the distance is taken to
    change evenly. Fewer than five points say nothing. If the first quarter brought no fall, any
    fall in the last one counts.
    """
    if len(shown) < FEWEST:
        return False
    ends = np.linspace(shown[0], shown[-1], 5)
    at_ends = np.interp(ends, shown, distances)
    first_fall = max(float(at_ends[0] - at_ends[1]), 0.0)
    last_fall = float(at_ends[3] - at_ends[4])
    return last_fall > STILL * first_fall
