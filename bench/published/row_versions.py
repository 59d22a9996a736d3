"""Where each row of a published board comes from: its code, processors, days and state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.cell_folder import CellFolder
from bench.names import EXTERNAL, RowId
from bench.planning.cells import PlannedCell
from bench.published.board_file import BoardFile, RowState, RowVersion
from bench.store import Store


def with_finished_rows(board: BoardFile, cells: Sequence[PlannedCell], store: Store) -> BoardFile:
    """A board file with a row for all that is finished.

    Only a run finds that a row is of other code; what it found stays.
    """
    others = []
    for row in board.rows:
        if row.state == "other code":
            others.append(RowId(row.task, row.dataset, row.labelled, row.method, row.variant))
    return replace(board, rows=row_versions(cells, store, board, others))


def row_versions(
    cells: Sequence[PlannedCell], store: Store, board: BoardFile, other_code: Iterable[RowId]
) -> list[RowVersion]:
    """The version of each row that has a finished run; `other_code` are rows of older code."""
    rows: dict[RowId, list[PlannedCell]] = {}
    for cell in cells:
        if cell.method != EXTERNAL and store.cell(cell.key).has_result:
            rows.setdefault(cell.row, []).append(cell)
    others = set(other_code)
    versions = []
    for row, finished in sorted(rows.items()):
        state: RowState = "other code" if row in others else _state(finished, board)
        folders = [store.cell(cell.key) for cell in finished]
        versions.append(_version(row, finished[0], folders, state))
    return versions


def _state(cells: Sequence[PlannedCell], board: BoardFile) -> RowState:
    """Reproduced where some of the runs were made again, and all of those agree."""
    keys = {cell.key for cell in cells}
    agree = [each.agrees(board.noise) for each in board.reproductions if each.key in keys]
    return "reproduced" if agree and all(agree) else "self-reported"


def _version(
    row: RowId, cell: PlannedCell, folders: Sequence[CellFolder], state: RowState
) -> RowVersion:
    commits = {folder.expect_job().commit for folder in folders}
    processors = set()
    days = set()
    for folder in folders:
        result = folder.read_result()
        environment = result.environment if result else {}
        processors.add(environment.get("processor", "unknown"))
        days.add(environment.get("finished", "unknown"))
    return RowVersion(
        *row,
        state=state,
        draws=len(folders),
        code=cell.code,
        commits=sorted(commits - {""}),
        precision=cell.precision,
        processors=sorted(processors),
        days=sorted({min(days), max(days)}),
    )
