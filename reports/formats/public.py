"""A board for others: without the folders of this machine and without logs."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import Any

from bench.board.schema import Board, Point

# An absolute path of a folder or more; what follows a letter, ":" or "/" is part of an address
# or relative.
PATH = re.compile(r"(?<![\w:/.])(?:[A-Za-z]:)?(?:[\\/][^\s\\/'\":,;]+)+[\\/]([^\s\\/'\":,;]+)")
# The same in quotes, where folders may have spaces in their names.
QUOTED = re.compile(r"(['\"])(?:[A-Za-z]:)?[\\/](?:[^'\"\\/]+[\\/]+)+([^'\"\\/]+)\1")


def without_folders(board: Board) -> Board:
    """Of files, in reasons and settings, the name alone is left; logs are left out."""
    cells = [replace(cell, log=[]) for cell in board.cells]
    shortened: Board = _shorten_paths(replace(board, cells=cells))
    return shortened


def _shorten_paths(value: Any) -> Any:
    """The same value with every absolute path inside its texts cut to its last part."""
    if isinstance(value, str):
        return PATH.sub(r"\1", QUOTED.sub(r"\1\2\1", value))
    if isinstance(value, dict):
        return {key: _shorten_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shorten_paths(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_shorten_paths(item) for item in value)
    if isinstance(value, Point):  # names and numbers alone, and there may be 100,000 of them
        return value
    if is_dataclass(value) and not isinstance(value, type):
        parts = {part.name: getattr(value, part.name) for part in fields(value)}
        return replace(value, **{name: _shorten_paths(part) for name, part in parts.items()})
    return value
