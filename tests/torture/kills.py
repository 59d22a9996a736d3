"""Kill a run at a random moment, several times, and let it go on: it must give the same board."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from pathlib import Path

from tests.torture import commands, subject
from tests.torture.outcomes import Outcome

TARGETS = ("driver", "group", "worker", "fork server")


def undisturbed(folder: Path) -> float:
    """Run the suite once into `folder`; the seconds it took. Raises RuntimeError where it fails."""
    folder.mkdir(parents=True)
    subject.write_suite(folder)
    began = time.monotonic()
    ended = subject.run_suite(folder, 300)
    if ended.code != 0:
        raise RuntimeError(f"the undisturbed run failed: {ended.err[-2000:]}")
    return time.monotonic() - began


def try_one(seed: int, work: Path, reference: Path, seconds: float) -> Outcome:
    """One run with one to three kills, and its end compared with the undisturbed run."""
    rng = random.Random(seed)
    folder = work / f"kill{seed}"
    folder.mkdir()
    subject.write_suite(folder)
    targets = []
    for _ in range(rng.randint(1, 3)):
        target = rng.choice(TARGETS)
        moment = rng.uniform(0, seconds)
        targets.append(f"{target} after {moment:.2f} s")
        _kill_during(folder, target, moment)
    ended = subject.run_suite(folder, 60 + 10 * seconds)
    fault = commands.fault_of(ended, allowed=(0,))
    if not fault:
        fault = subject.difference(subject.board_of(folder), subject.board_of(reference))
    if not fault:
        fault = _leavings(folder)
    shutil.rmtree(folder)
    return Outcome("kills", f"seed {seed} ({', '.join(targets)})", "the same board", fault)


def _kill_during(folder: Path, target: str, moment: float) -> None:
    child = commands.start(subject.run_arguments(), folder, folder / "words")
    time.sleep(moment)
    members = commands.group_of(child)
    victims = {
        "driver": members[:1],
        "group": members,
        "worker": members[-1:],
        "fork server": members[1:2],
    }[target]
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    if target in ("worker", "fork server"):
        commands.wait(child, 30)  # the run goes on, or ends with one line
    commands.kill_group(child)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


def _leavings(folder: Path) -> str:
    """Temporary files that a later run should have swept."""
    left = []
    for path in (folder / "out").rglob("*"):
        if path.name.endswith(".part") or (path.name.startswith(".") and path.is_file()):
            left.append(path.name)
    return f"left behind: {', '.join(sorted(left)[:3])}" if left else ""
