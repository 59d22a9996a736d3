"""board.json -> Board."""

from __future__ import annotations

from pathlib import Path

from bench.board.schema import Board
from bench.errors import BenchError


def read(out: Path) -> Board:
    """The board that `run` or `report` left in a folder. Raises BenchError where there is none, or not a board."""
    from pydantic import TypeAdapter, ValidationError

    file = out / "board.json"
    try:
        data = file.read_bytes()
    except OSError:
        raise BenchError(
            f"{out} given; it holds no board.json; draw it with 'report {out}'"
        ) from None
    try:
        return TypeAdapter(Board).validate_json(data, strict=True)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BenchError(
            f"{file}: {place}: {first['msg']}; draw it again with 'report {out}'"
        ) from None
