"""How long a worker of a shared folder takes cells: until its wall time nears its end."""

from __future__ import annotations

import os
import re
import time

from bench.errors import BenchError

LAST_START_S = 600.0  # before the end of the wall time, at most; no cell is begun after that
LAST_START_SHARE = 0.1  # of the wall time
CLOSING_S = 30.0  # for what runs then to be ended and given back; at most CLOSING_SHARE
CLOSING_SHARE = 0.05
END_OF_JOB = "SLURM_JOB_END_TIME"  # seconds since the epoch
UNITS = {"s": 1, "m": 60, "h": 3600}
WALL_TIME = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")


class Shift:
    """What is left of a wall time, which may have no end."""

    def __init__(self, wall_time_s: float | None) -> None:
        self.started = time.monotonic()
        self.wall_time_s = wall_time_s

    def _left(self) -> float:
        assert self.wall_time_s is not None
        return self.started + self.wall_time_s - time.monotonic()

    @property
    def begins_cells(self) -> bool:
        """Whether there is time to begin another cell."""
        if self.wall_time_s is None:
            return True
        return self._left() > min(LAST_START_S, LAST_START_SHARE * self.wall_time_s)

    @property
    def is_over(self) -> bool:
        """Whether what runs has to be ended now."""
        if self.wall_time_s is None:
            return False
        return self._left() <= min(CLOSING_S, CLOSING_SHARE * self.wall_time_s)


def wall_time(text: str | None) -> float | None:
    """Seconds of 2:00:00, 1-12:00:00, 90m or 2h; else what a SLURM job has left; None without one.

    Raises BenchError for any other text.
    """
    if text is None:
        return _left_of_job()
    match = WALL_TIME.fullmatch(text)
    if match:
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        total = float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    elif re.fullmatch(r"\d{1,9}[smh]", text):
        total = float(text[:-1]) * UNITS[text[-1]]
    else:
        total = 0.0
    if not total:
        raise BenchError(f"--wall-time {text} given; expected a time such as 2:00:00, 90m or 2h")
    return total


def _left_of_job() -> float | None:
    try:
        end = float(os.environ[END_OF_JOB])
    except (KeyError, ValueError):
        return None
    return max(1.0, end - time.time())
