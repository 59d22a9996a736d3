"""Whether a data set knows its patients, and which groups of images their names suggest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bench.api import Card, Record

UNKNOWN_UNITS = ("image", "case")  # first words of a card's `unit` where patients are not known
FEWEST_GROUPS = 4  # a run needs as many patients; fewer are kinds of images rather than patients
# What stands before the last or first separator of a name, or before letters at its end.
RULES = (
    ("the last", re.compile(r"(.+)([_\-. ])[^_\-. ]+")),
    ("the first", re.compile(r"([^_\-. ]+)([_\-. ]).+")),
    ("the letters at the end of", re.compile(r"(.*\d)()[a-zA-Z]+")),
)


@dataclass(frozen=True, slots=True)
class ProposedGroups:
    """Groups of images that share the beginning of their names."""

    rule: str  # where names are cut, in words
    separator: str  # before which; empty where names are cut before letters
    members: dict[str, list[str]]  # group -> case ids


def knows_patients(card: Card, records: Sequence[Record]) -> bool:
    """Whether images of one patient are known to be so; not where each image is its own group."""
    groups = {record.group for record in records}
    return len(groups) < len(records) or card.unit.split()[0] not in UNKNOWN_UNITS


def propose_groups(names: Sequence[str]) -> ProposedGroups | None:
    """The groups that names suggest: at least four, of which one has several images."""
    for words, expression in RULES:
        members: dict[str, list[str]] = {}
        separators: set[str] = set()
        matches = [expression.fullmatch(name) for name in names]
        for name, match in zip(names, matches, strict=True):
            if match is not None:
                separators.add(match[2])
                members.setdefault(match[1], []).append(name)
        fits = None not in matches and len(separators) == 1
        if fits and FEWEST_GROUPS <= len(members) < len(names):
            separator = separators.pop()
            rule = f"before {words} '{separator}'" if separator else "before the letters at the end"
            return ProposedGroups(rule, separator, members)
    return None
