"""What a case of the campaign came to, and the table of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case: which it was, what it came to, and what was wrong with that."""

    kind: str
    case: str  # enough words and the seed to make it again
    end: str  # "the same board", "refused", "a failed row", "accepted"
    fault: str  # "" of a case that held


def table(outcomes: Iterable[Outcome]) -> str:
    """A line for each kind: cases tried, held, violated, and how they ended."""
    by_kind: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_kind.setdefault(outcome.kind, []).append(outcome)
    lines = [f"{'kind':<10} {'tried':>6} {'held':>6} {'violated':>9}  ends"]
    lines += [_line(kind, cases) for kind, cases in by_kind.items()]
    return "\n".join(lines)


def _line(kind: str, cases: Sequence[Outcome]) -> str:
    violated = sum(bool(case.fault) for case in cases)
    ends = Counter(case.end for case in cases if not case.fault)
    words = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    return f"{kind:<10} {len(cases):>6} {len(cases) - violated:>6} {violated:>9}  {words}"


def violations(outcomes: Iterable[Outcome]) -> list[str]:
    """A line for each case that did not hold."""
    return [f"{case.kind}: {case.case}: {case.fault}" for case in outcomes if case.fault]
