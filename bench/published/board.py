"""A published board while a suite is run: what it keeps, carries over and leaves alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.planning.cells import PlannedCell, PlannedDataset
from bench.planning.suite import Suite
from bench.published.board_file import BoardFile, Contender, read_board_file
from bench.published.fingerprints import carry, contender_of, take_fingerprints
from bench.published.first_losses import first_losses
from bench.published.kept_rows import KeptRows, kept_rows
from bench.published.row_versions import row_versions
from bench.store import Store


@dataclass(frozen=True)
class Published:
    """What a published board knows of its rows."""

    cells: Sequence[PlannedCell]  # of the suite, under the code that trained them
    board: BoardFile
    of_other_code: frozenset[Contender]
    kept: KeptRows | None  # rows that others added

    def is_of_other_code(self, cell: PlannedCell) -> bool:
        """Whether today's code trains a cell otherwise than the board's did."""
        return contender_of(cell) in self.of_other_code

    def updated(self, store: Store, cells: Sequence[PlannedCell]) -> BoardFile:
        """board.toml after a run, which says where each of `cells` comes from."""
        others = [cell.row for cell in self.cells if self.is_of_other_code(cell)]
        return replace(self.board, rows=row_versions(cells, store, self.board, others))


def open_board(
    cells: Sequence[PlannedCell],
    suite: Suite,
    datasets: Mapping[str, PlannedDataset],
    store: Store,
    plugins: Sequence[Path],
    renew: bool,
    dry: bool,
) -> Published:
    """The board of a folder, which may be a new one, with the cells that a suite plans for it.

    Unless `dry`, fingerprints of new rows are taken. Raises BenchError for a board file of another
    layout, and for a row of another split.
    """

    def losses_of(chosen: Sequence[PlannedCell]) -> dict[str, list[float]]:
        return first_losses(chosen, suite, datasets, plugins)

    def has_ended(key: str) -> bool:
        return store.state(key) in ("done", "failed")

    kept = kept_rows(suite, datasets, store)
    known = read_board_file(store.out) or BoardFile()
    carried = carry(cells, known, losses_of, has_ended, renew)
    board = carried.board
    if not dry:
        current_code = {contender_of(cell): cell.code for cell in cells}
        board = take_fingerprints(carried.cells, board, current_code, losses_of)
    return Published(carried.cells, board, carried.of_other_code, kept)
