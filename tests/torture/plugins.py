"""Methods that misbehave: each ends as a failed row or a refusal, and the others are finished."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

from tests.torture import commands, subject
from tests.torture.outcomes import Outcome

HEAD = """
import os, shutil, signal, sys, time
import torch
from pydantic import BaseModel, ConfigDict
{at_import}

class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

class Rogue:
    def __init__(self, config, spec):
        self.spec = spec
        {at_start}

    def fit(self, view, run):
        {in_fit}
        run.progress(run.steps)

    def segment(self, images):
        {in_segment}
        return torch.full((len(images), self.spec.classes, *images.shape[2:]), 0.5)

    def state(self):
        {in_state}
        return {{}}

    def load(self, state, run):
        pass

METHOD = Rogue
CARD = {card}
"""
PLACES = ("at_import", "at_start", "in_fit", "in_segment", "in_state")
DEEDS = (
    "os._exit(0)",
    "os._exit(3)",
    "sys.exit(0)",
    "raise KeyboardInterrupt",
    "raise BaseException('x' * 100000)",
    "os.kill(os.getpid(), signal.SIGKILL)",
    "os.kill(os.getpid(), signal.SIGSEGV)",
    "time.sleep(1000)",
    "[print('x' * 1000) for _ in range(20000)]",
    "os.fork()",
    "shutil.rmtree(os.getcwd(), ignore_errors=True)",
    "shutil.rmtree(run.folder) if 'run' in dir() else shutil.rmtree(str(self))",
    "torch.empty(2 ** 46)",
    "os.close(1); os.close(2)",
    "raise MemoryError",
)
# Nobody can tell a slow import from one without end, or such an exception from Ctrl-C; and a signal
# at the import of the user's own file ends any Python program before there is something to lose.
NOT_AT_IMPORT = ("sleep", "KeyboardInterrupt", "os.kill")
CARDS = ("'text'", "None", "5", "{'summary': 5}", "{'requires': 7}", "{'role': []}", "[]")


def try_one(seed: int, work: Path) -> Outcome:
    """A run of the plain method beside one that misbehaves."""
    rng = random.Random(seed)
    folder = work / f"plugin{seed}"
    folder.mkdir()
    parts = dict.fromkeys(PLACES, "pass")
    card = "{'summary': 'Misbehaves.'}"
    if rng.random() < 0.15:
        card = rng.choice(CARDS)
        words = f"CARD = {card}"
    else:
        place, deed = rng.choice(PLACES), rng.choice(DEEDS)
        if place == "at_import" and any(word in deed for word in NOT_AT_IMPORT):
            place = "in_fit"
        parts[place] = deed
        words = f"{place}: {deed[:60]}"
    (folder / "rogue.py").write_text(HEAD.format(card=card, **parts))
    changes: dict[str, Any] = {"methods": ["threshold", "rogue"], "reference": "threshold"}
    changes |= {"fractions": [1.0], "subsets": 1}
    subject.write_suite(folder, **changes, tuning=None, time_limit_s=5)
    arguments = ["run", "suite.yaml", "--out", "out", "--workers", "2", "--plugin", "rogue.py"]
    ended = commands.run([*arguments, *subject.options("threshold", "tiny")], folder, 90)
    fault = commands.fault_of(ended)
    board = subject.board_of(folder)
    if not fault and ended.code != 2:
        fault = _fault_of_board(board)
    shutil.rmtree(folder, ignore_errors=True)
    ends = {0: "finished", 1: "a failed row", 2: "refused"}
    return Outcome("plug-ins", f"seed {seed} ({words})", ends.get(ended.code or 0, "?"), fault)


def _fault_of_board(board: dict[str, object] | None) -> str:
    """Whether the row of the plain method stands on the board."""
    if board is None:
        return "no board"
    rows = board["rows"]
    assert isinstance(rows, list)
    plain = [row for row in rows if row["method"] == "threshold" and row["metric"] == "dice"]
    return "" if plain and plain[0]["status"] == "ok" else "the other method has no row"
