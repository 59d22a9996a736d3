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
    kept: set[RowId] = set()
    for cell in cells:
        folder = store.cell(cell.key)
        if not folder.has_result:
            continue
        if cell.row in kept:
            (folder.path / "history.json").unlink(missing_ok=True)
        kept.add(cell.row)
