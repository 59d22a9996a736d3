"""What the cards of a suite's methods say of themselves, as plain data for the plan and the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import registry
from bench.planning.suite import EXTERNAL, Suite

ELSEWHERE: dict[str, Any] = {
    "title": "Predictions from elsewhere", "role": "external", "family": "external", "paper": "", "year": None,
    "summary": "Made by a program that this board did not run.", "verified": {}, "deviations": {},
}  # fmt: skip


def method_cards(suite: Suite, plugins: Sequence[Path] = ()) -> dict[str, dict[str, Any]]:
    """Title, role, family, paper, year, summary, what was verified and what deviates, by method."""
    names = dict.fromkeys(entry.method for entry in suite.methods)
    return {name: ELSEWHERE if name == EXTERNAL else _card(name, plugins) for name in names}


def _card(name: str, plugins: Sequence[Path]) -> dict[str, Any]:
    """A card with every field; a plug-in may leave out all of them."""
    card = registry.method(name, plugins).card
    return {
        "title": card.get("title", name), "role": card.get("role", "learner"), "family": card.get("family", "other"),
        "paper": card.get("paper", ""), "year": card.get("year"), "summary": card.get("summary", ""),
        "verified": card.get("verified", {}), "deviations": card.get("deviations", {}),
    }  # fmt: skip
