"""A published board keeps the losses of one training of each row, which its page draws."""

from __future__ import annotations

from collections.abc import Iterable

from bench.names import RowId
from bench.planning.cells import PlannedCell
from bench.store import Store


def drop_later_losses(cells: Iterable[PlannedCell], store: Store) -> None:
    """Remove the losses of all but the first finished training of each row.

    They are most of what a board of many rows and draws would weigh.
    """
    finished: dict[RowId, list[PlannedCell]] = {}
    for cell in cells:
        if cell.phase == "final" and store.cell(cell.key).has_result:
            finished.setdefault(cell.row, []).append(cell)
    kept = {min(of_row, key=_draw).key for of_row in finished.values()}
    for of_row in finished.values():
        for cell in of_row:
            if cell.key not in kept:
                (store.cell(cell.key).path / "history.json").unlink(missing_ok=True)


def _draw(cell: PlannedCell) -> int:
    return cell.subset
