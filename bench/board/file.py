"""board.json -> Board, and what else report writers need of files."""

from __future__ import annotations

from pathlib import Path

from bench.board.schema import Board
from bench.errors import BenchError
from bench.files.records import write_text as write_text
from bench.store import file_name as file_name
from bench.store import refuse_links


def read(out: Path) -> Board:
    """The board that `run` or `report` left in a folder.

    Raises BenchError where there is none, or one that this version cannot read, or where a link
    leads out of the folder.
    """
    from pydantic import TypeAdapter, ValidationError

    refuse_links(out, depth=2)
    file = out / "board.json"
    try:
        content = file.read_bytes()
    except OSError:
        raise BenchError(
            f"{out} given; it holds no board.json; draw it with 'report {out}'"
        ) from None
    try:
        board = TypeAdapter(Board).validate_json(content, strict=True)
    except ValidationError as problem:
        first = problem.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise BenchError(
            f"{file}: {field}: {first['msg']}; draw it again with 'report {out}'"
        ) from None
    if board.schema != Board.schema:
        raise BenchError(
            f"{file} was written by another version; draw it again with 'report {out}'"
        )
    return board
