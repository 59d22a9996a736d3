"""BibTeX of a board, of ScarceBench, and of the data sets and methods that the board shows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from bench.board.schema import Board
from reports.formats.csv_json import board_json
from reports.formats.latex import escape

# As CITATION.cff has them; a test compares.
TITLE = "ScarceBench: which method to use when medical images have few labels"
AUTHOR = "The ScarceBench maintainers"


def bibliography(board: Board, url: str | None = None, text: str | None = None) -> str:
    """All entries as one text; `url` is where the board can be read, if that is known.

    The hash is that of board.json, which is written anew unless `text` holds it; the date is that
    of the run.
    """
    entries = [_board_entry(board, url, text or board_json(board)), _software_entry(board)]
    entries += _dataset_entries(board)
    entries += _method_entries(board)
    return "\n".join(entries)


def _board_entry(board: Board, url: str | None, text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    facts = [_version(board)]
    if "commit" in board.provenance:
        facts.append(f"commit {board.provenance['commit']}")
    facts.append(f"SHA-256 of board.json {digest}")
    fields = {
        "title": _protected(f"{board.suite.title}: a ScarceBench leaderboard"),
        "date": board.provenance.get("started", ""),
        "year": board.provenance.get("started", "")[:4],
        "note": _text("; ".join(facts)),
        "url": url or "",
    }
    return _entry(f"scarcebench-{board.suite.name}-{digest[:8]}", fields)


def _version(board: Board) -> str:
    return f"ScarceBench {board.provenance.get('scarcebench', '')}".strip()


def _software_entry(board: Board) -> str:
    fields = {
        "author": _protected(AUTHOR),
        "title": _protected(TITLE),
        "note": _text(f"Software, {_version(board)}"),
    }
    return _entry("scarcebench", fields)


def _dataset_entries(board: Board) -> Iterator[str]:
    """Data sets with a citation; generated ones are part of ScarceBench."""
    for name, card in board.datasets.items():
        if card.citation and not card.synthetic:
            fields = {"title": _protected(card.title), "note": _text(card.citation)}
            if card.source.startswith(("https://", "http://")):
                fields["url"] = card.source
            yield _entry(f"data-{name}", fields)


def _method_entries(board: Board) -> Iterator[str]:
    """Methods that have rows and a paper; plain training has none."""
    shown = {row.method for row in board.rows}
    for name, card in board.methods.items():
        if name in shown and card.paper and card.family != "supervised":
            fields = {"title": _protected(card.title), "note": _text(card.paper)}
            yield _entry(f"method-{name}", {**fields, "year": str(card.year or "")})


def _protected(text: str) -> str:
    """Text whose capitals stay, whatever style sets it."""
    return f"{{{_text(text)}}}"


def _text(text: str) -> str:
    """Text inside a field: BibTeX counts braces, even those behind a backslash."""
    return escape(text.replace("{", "(").replace("}", ")"))


def _entry(key: str, fields: dict[str, str]) -> str:
    lines = [f"@misc{{{re.sub(r'[^0-9A-Za-z]+', '-', key).strip('-')},"]
    lines += [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([*lines, "}", ""])
