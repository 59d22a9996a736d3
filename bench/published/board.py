"""A published board while a suite is run: what it keeps, carries over and leaves alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.planning.cells import PlannedCell, PlannedDataset
from bench.planning.suite import Suite
from bench.published.board_file import BoardFile, Contender, read_board_file
from bench.published.fingerprints import Losses, carry, contender_of, take_fingerprints
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
    current_code: Mapping[Contender, str]
    losses_of: Losses

    def is_of_other_code(self, cell: PlannedCell) -> bool:
        """Whether today's code trains a cell otherwise than the board's did."""
        return contender_of(cell) in self.of_other_code

    def updated(self, store: Store, cells: Sequence[PlannedCell]) -> BoardFile:
        """board.toml after a run: fingerprints of new rows, and where `cells` come from."""

        def is_done(key: str) -> bool:
            return store.state(key) == "done"

        board = take_fingerprints(
            self.cells, self.board, self.current_code, self.losses_of, is_done
        )
        others = [cell.row for cell in self.cells if self.is_of_other_code(cell)]
        return replace(board, rows=row_versions(cells, store, board, others))


def open_board(
    cells: Sequence[PlannedCell],
    suite: Suite,
    datasets: Mapping[str, PlannedDataset],
    store: Store,
    plugins: Sequence[Path],
    renew: bool,
) -> Published:
    """The board of a folder, which may be a new one, with the cells that a suite plans for it.

    Raises BenchError for a board file of another layout, and for a row of another split.
    """

    def losses_of(chosen: Sequence[PlannedCell]) -> dict[str, list[float]]:
        return first_losses(chosen, suite, datasets, plugins)

    board = read_board_file(store.out) or BoardFile()
    carried = carry(cells, board, losses_of, renew)
    return Published(
        cells=carried.cells,
        board=carried.board,
        of_other_code=carried.of_other_code,
        kept=kept_rows(suite, datasets, store),
        current_code={contender_of(cell): cell.code for cell in cells},
        losses_of=losses_of,
    )
