"""The campaign: `python -m tests.torture --minutes 15 --seed 0`; exit code 1 if a case fails."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.torture import (
    commands,
    damage,
    kills,
    lists,
    outcomes,
    pictures,
    plugins,
    suites,
    volumes,
)
from tests.torture.outcomes import Outcome

TRIES: Mapping[str, Callable[[int, Path], Outcome]] = {
    "suites": suites.try_one,
    "pictures": pictures.try_one,
    "volumes": volumes.try_one,
    "lists": lists.try_one,
    "plug-ins": plugins.try_one,
}
# Shares of the cases: 60 kills and 500 damaged files in the whole campaign.
WHOLE = {
    "kills": 60,
    "damage": 500,
    "suites": 300,
    "pictures": 200,
    "volumes": 100,
    "lists": 150,
    "plug-ins": 60,
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of the campaign."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of the first case of each kind")
    parser.add_argument("--size", type=float, default=1.0, help="1 is the whole campaign")
    parser.add_argument("--minutes", type=float, default=15, help="start no case after so many")
    parser.add_argument("--kinds", default=",".join(WHOLE), help="some of " + ",".join(WHOLE))
    return parser.parse_args(arguments)


@dataclass(frozen=True)
class Campaign:
    """What all cases share."""

    work: Path
    reference: Path  # a run that nobody disturbed; missing where no kind needs it
    seconds: float  # that it took
    deadline: float

    def attempt(self, case: tuple[float, str, int]) -> Outcome | None:
        """One case; None when the time is over. What breaks the campaign costs one case."""
        _, kind, seed = case
        if time.monotonic() > self.deadline:
            return None
        try:
            return self._try(kind, seed)
        except Exception as problem:
            fault = f"the campaign itself failed: {type(problem).__name__}: {problem}"
            return Outcome(kind, f"seed {seed}", "?", fault)

    def _try(self, kind: str, seed: int) -> Outcome:
        if kind == "kills":
            return kills.try_one(seed, self.work, self.reference, self.seconds)
        if kind == "damage":
            return damage.try_one(seed, self.work, self.reference)
        return TRIES[kind](seed, self.work)


def run(seed: int, size: float, minutes: float, kinds: list[str]) -> list[Outcome]:
    """All cases of the kinds, as far as time allows, two at a time; the kinds take turns."""
    deadline = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory(prefix="torture-") as place:
        work = Path(place)
        reference = work / "undisturbed"
        seconds = 0.0
        if {"kills", "damage"} & set(kinds):
            seconds = kills.undisturbed(reference)
        campaign = Campaign(work, reference, seconds, deadline)
        cases = []
        for kind in kinds:
            count = max(1, round(size * WHOLE[kind]))
            cases += [((number + 0.5) / count, kind, seed + number) for number in range(count)]
        # Processes, not threads: a fork of a process with threads may inherit a held lock.
        with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
            ended = list(pool.map(campaign.attempt, sorted(cases)))
    return [outcome for outcome in ended if outcome is not None]


def main() -> int:
    """Run the campaign and print its table; 1 if a case did not hold."""
    options = parse()
    seed = options.seed if options.seed is not None else int(time.time())
    kinds = options.kinds.split(",")
    unknown = [kind for kind in kinds if kind not in WHOLE]
    if unknown:
        print(f"error: kind '{unknown[0]}' given; expected some of {', '.join(WHOLE)}")
        return 2
    print(f"seed {seed}, size {options.size:g}, at most {options.minutes:g} min", flush=True)
    commands.import_everything()
    ended = run(seed, options.size, options.minutes, kinds)
    print(outcomes.table(ended))
    violated = outcomes.violations(ended)
    print("\n".join(violated))
    return int(bool(violated))


if __name__ == "__main__":
    sys.exit(main())
