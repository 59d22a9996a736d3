"""Carries the results of a published board through later code that trains the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.names import EXTERNAL
from bench.planning.cells import PlannedCell
from bench.published.board_file import BoardFile, Contender, Fingerprint
from bench.published.first_losses import are_equal

Losses = Callable[[Sequence[PlannedCell]], Mapping[str, Sequence[float]]]  # by key


@dataclass(frozen=True)
class Carried:
    """The cells of a plan under the code that trained them, and what is known of later code."""

    cells: Sequence[PlannedCell]
    board: BoardFile
    of_other_code: frozenset[Contender]  # whose rows stay as they are, and are not trained further


def contender_of(cell: PlannedCell) -> Contender:
    """What the fingerprint of a cell belongs to."""
    return Contender(cell.task, cell.dataset, cell.method, cell.variant)


def by_contender(cells: Sequence[PlannedCell]) -> dict[Contender, list[PlannedCell]]:
    """The cells that are trained, by what a fingerprint is of."""
    groups: dict[Contender, list[PlannedCell]] = {}
    for cell in cells:
        if cell.method != EXTERNAL and cell.refusal is None:
            groups.setdefault(contender_of(cell), []).append(cell)
    return groups


def carry(
    cells: Sequence[PlannedCell],
    board: BoardFile,
    losses_of: Losses,
    has_ended: Callable[[str], bool],
    renew: bool = False,
) -> Carried:
    """Cells under the code of the board, where today's code trains the same.

    A row of other code stays under its own; with `renew` it is planned anew.
    """
    groups = by_contender(cells)
    board = _without_idle_fingerprints(groups, board, has_ended)
    board = _with_known_code(groups, board, losses_of)
    codes: dict[Contender, str] = {}
    others: set[Contender] = set()
    for contender, group in groups.items():
        fingerprint = board.fingerprint(contender)
        if fingerprint is None or _cell_of(fingerprint, group) is None:
            continue
        code = group[0].code
        if code in (fingerprint.code, *fingerprint.equal_code):
            codes[contender] = fingerprint.code
        elif not renew:
            codes[contender] = fingerprint.code
            others.add(contender)
    carried = []
    for cell in cells:
        contender = contender_of(cell)
        if cell.refusal is None and contender in codes:
            cell = replace(cell, code=codes[contender])
        carried.append(cell)
    return Carried(carried, board, frozenset(others))


def _without_idle_fingerprints(
    groups: Mapping[Contender, Sequence[PlannedCell]],
    board: BoardFile,
    has_ended: Callable[[str], bool],
) -> BoardFile:
    """The board file without fingerprints of rows in which no run has ended: nothing to carry."""
    used = []
    for fingerprint in board.fingerprints:
        group = groups.get(fingerprint.contender, ())
        keys = [replace(cell, code=fingerprint.code).key for cell in group]
        if not group or any(map(has_ended, keys)):
            used.append(fingerprint)
    return replace(board, fingerprints=used)


def _with_known_code(
    groups: Mapping[Contender, Sequence[PlannedCell]], board: BoardFile, losses_of: Losses
) -> BoardFile:
    """The board file with today's code among the equal or the other code of each fingerprint."""
    unknown: dict[str, tuple[Fingerprint, PlannedCell]] = {}
    for contender, group in groups.items():
        fingerprint = board.fingerprint(contender)
        cell = None if fingerprint is None else _cell_of(fingerprint, group)
        if fingerprint is not None and cell is not None and not _is_known(fingerprint, cell.code):
            unknown[cell.key] = (fingerprint, cell)
    losses = losses_of([cell for _, cell in unknown.values()])
    known: dict[Contender, Fingerprint] = {}
    for key, (fingerprint, cell) in unknown.items():
        if are_equal(fingerprint.losses, losses[key]):
            changed = replace(fingerprint, equal_code=[*fingerprint.equal_code, cell.code])
        else:
            changed = replace(fingerprint, other_code=[*fingerprint.other_code, cell.code])
        known[fingerprint.contender] = changed
    return _with(board, known)


def _is_known(fingerprint: Fingerprint, code: str) -> bool:
    return code in (fingerprint.code, *fingerprint.equal_code, *fingerprint.other_code)


def _cell_of(fingerprint: Fingerprint, group: Sequence[PlannedCell]) -> PlannedCell | None:
    """The planned cell whose first steps a fingerprint holds; None if settings or data changed."""
    for cell in group:
        if replace(cell, code=fingerprint.code).key == fingerprint.key:
            return cell
    return None


def _with(board: BoardFile, fingerprints: Mapping[Contender, Fingerprint]) -> BoardFile:
    """A board file with some fingerprints replaced or added."""
    kept = [each for each in board.fingerprints if each.contender not in fingerprints]
    every = sorted([*kept, *fingerprints.values()], key=lambda each: each.contender)
    return replace(board, fingerprints=every)


def take_fingerprints(
    cells: Sequence[PlannedCell],
    board: BoardFile,
    current_code: Mapping[Contender, str],
    losses_of: Losses,
) -> BoardFile:
    """A board file with a fingerprint of each contender that is trained by today's code.

    They are taken before the training, so that no finished run is ever without one. `current_code`
    is the hash of today's code; cells of other code keep their fingerprint.
    """
    wanted: dict[str, PlannedCell] = {}
    for contender, group in by_contender(cells).items():
        first = group[0]
        fingerprint = board.fingerprint(contender)
        is_kept = fingerprint is not None and fingerprint.code == first.code
        if not is_kept and first.code == current_code.get(contender):
            wanted[first.key] = first
    taken: dict[Contender, Fingerprint] = {}
    losses = losses_of(list(wanted.values()))
    for key, cell in wanted.items():
        contender = contender_of(cell)
        taken[contender] = Fingerprint(*contender, key=key, code=cell.code, losses=losses[key])
    return _with(board, taken)
