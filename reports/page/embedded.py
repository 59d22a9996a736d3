"""Data and script inside the page: what the script reads, escaped so that no name can end its element."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from bench.board import Board
from reports.page import tables

SCRIPT = Path(__file__).parents[1] / "static" / "page.js"
MOST_VALUES = (
    150_000  # points of all scatters together; beyond, the page would outweigh its pictures
)
# None of these may stand in a script element as it is: "</script>" would end it, U+2028 and U+2029 end lines.
ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def as_json(value: Any) -> Markup:
    """JSON for a script element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(ESCAPES))


def script() -> Markup:
    """The page's script as it is embedded."""
    return Markup(SCRIPT.read_text())


def policy() -> str:
    """Nothing may be fetched; the one script that may run is known by its hash."""
    digest = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def data(board: Board) -> dict[str, Any]:
    """What the script needs beyond the tables: the score of each case, by task and dataset."""
    return {
        "places": {place_key(table): _place(table) for table in board.cases} if fits(board) else {}
    }


def fits(board: Board) -> bool:
    """Whether the scores of all cases are few enough to stand in the page."""
    return sum(len(table["cases"]) * len(table["series"]) for table in board.cases) <= MOST_VALUES


def place_key(item: dict[str, Any]) -> str:
    """Task and dataset in an address."""
    return f"{item['task']}/{item['dataset']}"


def _place(table: dict[str, Any]) -> dict[str, Any]:
    series = [
        {
            "name": series_name(one),
            "method": tables.method_label(one["method"], one["variant"]),
            "labelled": one["labelled"],
            "values": one["values"],
        }
        for one in table["series"]
    ]
    return {"metric": table["metric"], "cases": table["cases"], "series": series}


def series_name(one: dict[str, Any]) -> str:
    """A method at a budget, in words."""
    budget = "all labels" if one["fraction"] >= 1 else f"{one['labelled']} labelled"
    return f"{tables.method_label(one['method'], one['variant'])}, {budget}"


def scatter(board: Board, place: tables.Place) -> dict[str, Any] | None:
    """The two choices of a scatter of cases and what they are at first: the reference, and the next best known."""
    table = next(
        (table for table in board.cases if (table["task"], table["dataset"]) == place), None
    )
    if table is None or len(table["series"]) < 2:
        return None
    names = [series_name(one) for one in table["series"]]
    judge = board.suite.get("reference", "supervised")
    first = next((n for n, one in enumerate(table["series"]) if one["method"] == judge), 0)
    same = [
        n
        for n, one in enumerate(table["series"])
        if one["labelled"] == table["series"][first]["labelled"]
    ]
    second = next((n for n in [*same, *range(len(names))] if n != first), first)
    return {"key": place_key(table), "metric": table["metric"], "names": names, "first": [names[first], names[second]],
            "fits": fits(board)}  # fmt: skip
