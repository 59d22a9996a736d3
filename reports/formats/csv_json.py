"""A Board as text: JSON and CSV. Every format carries the Board's own numbers; none is rounded."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from bench.board import Board, Point, Row

RESULTS = {"segmentation": "results.csv", "classification": "results_classification.csv"}
# An absolute path with a folder or more in it; what follows a letter, ":" or "/" is part of an address or relative.
PATH = re.compile(r"(?<![\w:/.])(?:[A-Za-z]:)?(?:[\\/][^\s\\/'\":,;]+)+[\\/]([^\s\\/'\":,;]+)")
# The same in quotes, where folders may have spaces in their names.
QUOTED = re.compile(r"(['\"])(?:[A-Za-z]:)?[\\/](?:[^'\"\\/]+[\\/]+)+([^'\"\\/]+)\1")
GZIP_FROM = 500_000  # characters; a longer table would outweigh the rest of the page
BESIDE_FROM = 20_000_000  # characters; even packed it would


@dataclass(frozen=True, slots=True)
class Download:
    """A file that the page carries inside itself, or that lies beside it."""

    name: str
    title: str
    uri: str | None  # None where the file is too long to be carried


def board_json(board: Board) -> str:
    """The whole Board, a line for each item. Declared order is kept: datasets and protocol come as on the page."""
    parts = [
        f" {json.dumps(part.name)}: {_lines(getattr(board, part.name))}" for part in fields(board)
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(value: Any) -> str:
    """JSON with each item of a list on a line of its own."""
    if not isinstance(value, list) or not value:
        return _dumps(value)
    return "[\n  " + ",\n  ".join(_dumps(item) for item in value) + "\n ]"


def _dumps(value: Any) -> str:
    """JSON; what it does not know, NaN and infinity, becomes null."""
    value = flat(value) if isinstance(value, Row | Point) else value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def flat(row: Row | Point) -> dict[str, Any]:
    """The fields of a row; nothing in it is nested."""
    return {name: getattr(row, name) for name in row.__slots__}


def rows_csv(board: Board) -> str:
    """One line per Row; an empty field is a number that does not exist."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_plain(flat(row)) for row in board.rows)
    return out.getvalue()


def downloads(
    board: Board, per_case: Mapping[str, str], splits: Mapping[str, str]
) -> list[Download]:
    """The files offered on the page; data URIs work offline and without scripts."""
    from reports.formats import (
        latex,
        markdown,
    )  # both need the page's words, and the page needs this module

    cases = [
        (RESULTS[task], f"every test case, {task}", table)
        for task, table in per_case.items()
        if table
    ]
    return [
        *[_download(name, title, table, "text/csv") for name, title, table in cases],
        _download("rows.csv", "every number of the tables", rows_csv(board), "text/csv"),
        _download("board.json", "the whole board", board_json(board), "application/json"),
        *[
            _download(
                f"split_{name}",
                "the test cases, and who is labelled in each subset",
                text,
                "application/json",
            )
            for name, text in splits.items()
        ],
        _download(
            "tables.md",
            "the main tables for a text or a wiki",
            markdown.render(board),
            "text/markdown",
        ),
        _download("tables.tex", "the main tables for a paper", latex.render(board), "text/x-tex"),
    ]


def without_folders(board: Board) -> Board:
    """A board for others: of files of this machine, in reasons and settings, the name alone; logs are left out."""
    cells = [{**cell, "log": []} for cell in board.cells]
    parts = {part.name: getattr(board, part.name) for part in fields(board)}
    return Board(**{name: _shortened(value) for name, value in {**parts, "cells": cells}.items()})


def _shortened(value: Any) -> Any:
    """The same with every absolute path inside texts cut to its last part."""
    if isinstance(value, str):
        return PATH.sub(r"\1", QUOTED.sub(r"\1\2\1", value))
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(item) for item in value]
    return replace(value, reason=_shortened(value.reason)) if isinstance(value, Row) else value


def data_uri(data: bytes, mime: str) -> str:
    """Bytes as a link that needs no second file."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _download(name: str, title: str, text: str, mime: str) -> Download:
    if len(text) >= BESIDE_FROM:
        return Download(name, title, None)
    data = text.encode()
    if len(text) < GZIP_FROM:
        return Download(name, title, data_uri(data, mime))
    packed = gzip.compress(data, 6, mtime=0)  # no clock in the header: same input, same bytes
    return Download(f"{name}.gz", title, data_uri(packed, "application/gzip"))


def _plain(value: Any) -> Any:
    """JSON knows no NaN and no infinity: both become null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
