"""A Difference as a page of its own."""

from __future__ import annotations

from bench.difference import COLUMN, Change, Difference
from bench.difference_text import CHANGED, MOVED, changed_words, moved_words, row_words
from reports.templating import render as render_page


def render(found: Difference) -> str:
    """The page as HTML text; the same folders give the same bytes."""
    sides = (found.before, found.after)
    return render_page(
        "diff.html.j2",
        {
            "titles": [side.board.suite["title"] for side in sides],
            "places": [side.place for side in sides],
            "commits": [side.board.provenance.get("commit", "unknown") for side in sides],
            "alarms": found.alarms,
            "cells": found.cells,
            "equal": found.equal,
            "settings": found.settings,
            "gone": [row_words(row) for row in found.removed],
            "new": [row_words(row) for row in found.added],
            "heads": CHANGED,
            "changed": [(change.verdict, _titled(change)) for change in found.changed],
            "moved_heads": MOVED,
            "moved": [moved_words(found, change) for change in found.moved],
        },
    )


def _titled(change: Change) -> list[str]:
    """The cells in words, with the metric as the board's page names it."""
    cells, column = changed_words(change), COLUMN[change.after.metric]
    arrow = "↑" if column.better == "higher" else "↓"
    return [
        f"{column.title} {arrow}" if name == "metric" else cell
        for name, cell in zip(CHANGED, cells, strict=True)
    ]
