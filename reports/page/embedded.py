"""What the page carries inside itself: files, and the data its script reads, escaped for HTML."""

from __future__ import annotations

import base64
import gzip
import json
import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from bench.board.schema import Board, CaseSeries, CaseTable
from reports.page.tables import OfProblem
from reports.wording import entry_name

# Points of all scatters together; with more, the page would outweigh its pictures.
MOST_VALUES = 150_000
# None of these may stand in a script element as it is: "</script>" would end the element,
# U+2028 and U+2029 end lines.
ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
PACK_FROM = 40_000  # characters; several longer tables would outweigh the rest of the page
XZ_UNTIL = 5_000_000  # characters; xz packs half as large as gzip, but takes seconds for more
BESIDE_FROM = 20_000_000  # characters; even packed it would

MIME_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".tex": "text/x-tex",
}


@dataclass(frozen=True, slots=True)
class Download:
    """A file that the page carries inside itself, or that lies beside it."""

    name: str
    title: str
    uri: str | None  # None where the file is too long to be carried


def make_download(name: str, title: str, text: str) -> Download:
    """A text as a link that works offline and without scripts; long ones are compressed."""
    if len(text) >= BESIDE_FROM:
        return Download(name, title, None)
    data = text.encode()
    if len(text) < PACK_FROM:
        return Download(name, title, data_uri(data, MIME_TYPES[Path(name).suffix]))
    if len(text) < XZ_UNTIL:
        return Download(f"{name}.xz", title, data_uri(lzma.compress(data), "application/x-xz"))
    packed = gzip.compress(data, 6, mtime=0)  # no clock in the header: same input, same bytes
    return Download(f"{name}.gz", title, data_uri(packed, "application/gzip"))


def data_uri(data: bytes, mime: str) -> str:
    """Bytes as a link that needs no second file."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def as_json(value: Any) -> Markup:
    """JSON for a script element: no name inside it can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(ESCAPES))


def case_scores(board: Board) -> dict[str, Any]:
    """The score of each case, by task and dataset; nothing where there are too many."""
    problems: dict[str, Any] = {}
    if fits_in_page(board):
        for table in board.cases:
            problems[problem_key(table)] = _scores_of(board, table)
    return problems


def fits_in_page(board: Board) -> bool:
    """Whether the scores of all cases are few enough to stand in the page."""
    sizes = (len(table.cases) * len(table.series) for table in board.cases)
    return sum(sizes) <= MOST_VALUES


def problem_key(item: OfProblem) -> str:
    """Task and dataset in an address."""
    return f"{item.task}/{item.dataset}"


def _scores_of(board: Board, table: CaseTable) -> dict[str, Any]:
    series = [_series_scores(board, series) for series in table.series]
    return {"metric": table.metric, "cases": table.cases, "series": series}


def _series_scores(board: Board, series: CaseSeries) -> dict[str, Any]:
    return {
        "name": series_name(board, series),
        "method": entry_name(board, series.method, series.variant),
        "labelled": series.labelled,
        "values": series.values,
    }


def series_name(board: Board, series: CaseSeries) -> str:
    """A method at a budget, in words."""
    budget = "all labels" if series.fraction >= 1 else f"{series.labelled} labelled"
    return f"{entry_name(board, series.method, series.variant)}, {budget}"
