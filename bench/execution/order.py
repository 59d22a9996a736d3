"""In which order cells are run: so that a board is there early, and no long cell comes last."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.planning.cells import PlannedCell
from bench.planning.filters import matches_filters, parse_filters

Length = Callable[[PlannedCell], float]  # how long a training takes, beside others of its plan


def steps_of(cell: PlannedCell) -> float:
    """The length of a training where nothing is known of its method."""
    return float(cell.steps)


def in_order(
    cells: Sequence[PlannedCell],
    reference: str,
    first: Sequence[str] = (),
    length: Length = steps_of,
) -> list[PlannedCell]:
    """Cells that match `first`, then one draw of all methods after the other.

    Within a draw the reference comes first, with which the others are compared, and its budgets
    that no other method has come last. Between, the longest come first and, where these are equal,
    those with most labelled patients.
    """
    wanted = parse_filters(first)

    def rank(cell: PlannedCell) -> tuple[bool, int, int, float, int]:
        is_first = bool(wanted) and matches_filters(cell, wanted)
        return not is_first, cell.subset, _turn(cell, reference), -length(cell), -cell.labelled

    return sorted(cells, key=rank)


def _turn(cell: PlannedCell, reference: str) -> int:
    """When a cell comes within its draw."""
    if cell.ladder:
        return 2
    return int(cell.method != reference)
