"""Where methods fail: a few pictures of each picked test case, and the rest on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.board.schema import Board, BoardCell, Panel
from bench.names import DEFAULT, TUNED, method_label
from reports.page.overlays import Tile, case_tiles
from reports.page.tables import Problem
from reports.view import kept_defaults
from reports.wording import entry_name

FIRST = ("worst", "median", "largest disagreement")  # the rules whose cases stand open
BESIDE = 2  # tiles before the predictions: the image and its reference


@dataclass(frozen=True, slots=True)
class Case:
    """A test case in pictures."""

    panel: Panel
    is_first: bool  # whether it stands open
    tiles: list[Tile]
    rest: list[Tile]

    @property
    def has_picture(self) -> bool:
        """Whether there is one: a licence may forbid to pass it on."""
        return self.panel.image is not None


def list_cases(board: Board, panels: Sequence[Panel], problem: Problem) -> list[Case]:
    """The cases of one problem; pictures are of segmentation alone."""
    if problem.task != "segmentation":
        return []
    cells = _cells_by_label(board, problem)
    own = [panel for panel in panels if panel.dataset == problem.dataset]
    return [_make_case(board, panel, cells) for panel in own]


def _cells_by_label(board: Board, problem: Problem) -> dict[str, BoardCell]:
    """What a prediction is called in a panel -> a cell of that row."""
    cells = {}
    for cell in board.cells:
        if (cell.task, cell.dataset) == problem:
            budget = "all labels" if cell.fraction == 1 else f"{cell.labelled} labelled"
            cells[f"{method_label(cell.method, cell.variant)}, {budget}"] = cell
    return cells


def _make_case(board: Board, panel: Panel, cells: Mapping[str, BoardCell]) -> Case:
    repeated = kept_defaults(board)
    kept = []
    for prediction in panel.predictions:
        cell = cells.get(prediction[0])
        is_tuned = cell is not None and cell.variant == TUNED
        if cell is None or not is_tuned or _place(cell) not in repeated:
            kept.append(prediction)
    chosen = _pick(board, panel, cells, [(label, dice) for label, dice, _ in kept])
    others = [number for number in range(len(kept)) if number not in chosen]
    ordered = []
    for number in [*chosen, *others]:
        label, dice, label_map = kept[number]
        ordered.append((_title(board, panel, cells.get(label), label), dice, label_map))
    tiles = case_tiles(replace(panel, predictions=tuple(ordered)))
    shown = BESIDE + len(chosen)
    return Case(panel, panel.rule in FIRST, tiles[:shown], tiles[shown:])


def _place(cell: BoardCell) -> tuple[str, str, int, str]:
    return (cell.task, cell.dataset, cell.labelled, cell.method)


def _pick(
    board: Board,
    panel: Panel,
    cells: Mapping[str, BoardCell],
    predictions: Sequence[tuple[str, float | None]],
) -> list[int]:
    """Positions of the reference, then of the best, middle and worst of the others.

    Of default settings at the budget of the panel; of the first four where no cell is known.
    """
    reference: list[int] = []
    others: list[int] = []
    for number, (label, _) in enumerate(predictions):
        cell = cells.get(label)
        if cell is None or cell.labelled != panel.labelled or cell.variant != DEFAULT:
            continue
        if cell.method == board.suite.reference:
            reference.append(number)
        else:
            others.append(number)
    if not reference and not others:
        return list(range(min(4, len(predictions))))
    others.sort(key=lambda number: -(predictions[number][1] or 0.0))
    picked = reference[:1]
    if others:
        ends = (others[0], others[len(others) // 2], others[-1])
        picked += list(dict.fromkeys(ends))
    return picked


def _title(board: Board, panel: Panel, cell: BoardCell | None, label: str) -> str:
    if cell is None:
        return label
    name = entry_name(board, cell.method, cell.variant)
    return name if cell.labelled == panel.labelled else f"{name}, all labels"
