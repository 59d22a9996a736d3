"""Whether the training of a generator was long enough, told from its distances (R5.11)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STILL = 0.05  # of the whole fall; if the last quarter brings more, there is no convergence
FEWEST = 5  # points that tell: one at each end of the quarters


def still_falls(shown: Sequence[int], distances: Sequence[float]) -> bool:
    """Whether the last quarter of a training brings more than 5% of the whole fall of distances.

    `shown` are the images shown until then, increasing. The whole fall is that from the highest
    distance to the last one: untrained generators draw even grey, from which distances first rise.
    Between points the distance is taken to change evenly. Fewer than five points say nothing.
    """
    if len(shown) < FEWEST:
        return False
    begin = shown[0] + 0.75 * (shown[-1] - shown[0])
    last_fall = float(np.interp(begin, shown, distances)) - distances[-1]
    whole_fall = max(distances) - distances[-1]
    return last_fall > STILL * whole_fall
