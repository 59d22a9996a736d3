"""In which order cells are run: so that a board is there early, and no long cell comes last."""

from __future__ import annotations

from collections.abc import Sequence

from bench.planning.cells import PlannedCell
from bench.planning.filters import matches_filters, parse_filters


def in_order(
    cells: Sequence[PlannedCell], reference: str, first: Sequence[str] = ()
) -> list[PlannedCell]:
    """Cells that match `first`, then the reference, then one draw of all methods after the other.

    Within a draw the longest come first, by steps and, where these are equal, by labelled patients.
    """
    wanted = parse_filters(first)

    def rank(cell: PlannedCell) -> tuple[bool, bool, int, int, int]:
        is_first = bool(wanted) and matches_filters(cell, wanted)
        is_reference = cell.method == reference
        return not is_first, not is_reference, cell.subset, -cell.steps, -cell.labelled

    return sorted(cells, key=rank)
