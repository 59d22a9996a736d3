"""A Difference of two result folders as a page of its own."""

from __future__ import annotations

from bench.diff.compare import Change, Difference
from bench.diff.text import CHANGED, MOVED, changed_words, moved_words, row_words
from reports.templating import render_template

ARROWS = {"higher": "↑", "lower": "↓"}


def render(difference: Difference) -> str:
    """The page as HTML text; the same folders give the same bytes."""
    before, after = difference.before, difference.after
    boards = (before.board, after.board)
    titles = [board.suite.title for board in boards]
    commits = [board.provenance.get("commit", "unknown") for board in boards]
    changed = [(change.verdict, _changed_cells(change)) for change in difference.changed]
    moved = [moved_words(difference, change) for change in difference.moved]
    removed = [row_words(difference, row) for row in difference.removed]
    added = [row_words(difference, row) for row in difference.added]
    values = {
        "titles": titles,
        "places": [before.folder, after.folder],
        "commits": commits,
        "alarms": difference.alarms,
        "cells": difference.cells,
        "equal": difference.equal,
        "settings": difference.settings,
        "gone": removed,
        "new": added,
        "heads": CHANGED,
        "changed": changed,
        "moved_heads": MOVED,
        "moved": moved,
    }
    return render_template("diff.html.j2", values)


def _changed_cells(change: Change) -> list[str]:
    """The cells in words, with the metric as the board's page names it."""
    column = change.column
    cells = changed_words(change)
    cells[CHANGED.index("metric")] = f"{column.title} {ARROWS[column.better]}"
    return cells
