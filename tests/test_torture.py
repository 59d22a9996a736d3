"""The short form of the campaign (`make torture` is the whole): every case holds."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture.outcomes import Outcome, table, violations

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_short_campaign_holds() -> None:
    """One or two minutes of kills, damaged files and bad input, from fixed seeds."""
    short = ["--seed", "0", "--size", "0.02", "--minutes", "4"]
    command = [sys.executable, "-m", "tests.torture", *short]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    # A campaign that only refuses tries nothing.
    for end in ("the same board", "read right", "refused"):
        assert end in ended.stdout


def test_cases_that_do_not_hold_are_counted_and_named() -> None:
    held = Outcome("kills", "seed 1", "the same board", "")
    broken = Outcome("kills", "seed 2", "the same board", "the board differs in rows")
    assert table([held, broken]).splitlines()[1].split()[:4] == ["kills", "2", "1", "1"]
    assert violations([held, broken]) == ["kills: seed 2: the board differs in rows"]
