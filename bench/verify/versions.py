"""board.toml of a published board against its cells: rows, fingerprints and reproductions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bench.cell_folder import BOARD_FILE
from bench.published.board_file import BoardFile, RowVersion, read_board_file
from bench.published.fingerprints import contender_of
from bench.published.row_versions import with_finished_rows
from bench.verify.files import ResultFolder
from bench.verify.mismatch import NOTHING, Check, Mismatch


def check_versions(results: ResultFolder) -> Check:
    """What board.toml says of each row against what its cells say."""
    board = read_board_file(results.store.out)
    if board is None:
        return Check("rows of board.toml", 0, [])
    mismatches = [*_changed_rows(results, board), *_foreign_fingerprints(results, board)]
    return Check("rows of board.toml", len(board.rows), mismatches)


def _changed_rows(results: ResultFolder, board: BoardFile) -> Iterator[Mismatch]:
    stored = {_name(row): row for row in board.rows}
    finished = with_finished_rows(board, results.plan.cells, results.store)
    derived = {_name(row): row for row in finished.rows}
    for name in dict.fromkeys([*stored, *derived]):
        old = _plain(stored.get(name))
        new = _plain(derived.get(name))
        for field in dict.fromkeys([*old, *new]):
            if old.get(field, NOTHING) != new.get(field, NOTHING):
                before, after = old.get(field, NOTHING), new.get(field, NOTHING)
                yield Mismatch(BOARD_FILE, name, field, before, after)


def _plain(row: RowVersion | None) -> dict[str, Any]:
    return {} if row is None else asdict(row)


def _name(row: RowVersion) -> str:
    return f"{row.method} ({row.variant}), {row.labelled} labelled, {row.dataset} {row.task}"


def _foreign_fingerprints(results: ResultFolder, board: BoardFile) -> Iterator[Mismatch]:
    """Fingerprints and reproductions of cells that the plan does not have."""
    codes = {contender_of(cell): cell.code for cell in results.plan.cells}
    keys = {cell.key for cell in results.plan.cells}
    for fingerprint in board.fingerprints:
        code = codes.get(fingerprint.contender, NOTHING)
        if code != fingerprint.code:
            row = f"fingerprint of {fingerprint.method}"
            yield Mismatch(BOARD_FILE, row, "code", fingerprint.code, code)
    for reproduction in board.reproductions:
        if reproduction.key not in keys:
            row = f"reproduction of {reproduction.key}"
            yield Mismatch(BOARD_FILE, row, "key", reproduction.key, "a cell of the plan")
