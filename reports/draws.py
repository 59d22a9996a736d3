"""What a mean is taken over, in words: draws of the labelled patients, repeats, outer folds.

With all labels nothing is drawn: the trainings are repeated with other seeds. With outer folds,
each fold has draws of its own, and a mean of a draw is one of a fold.
"""

from __future__ import annotations

from collections.abc import Iterable

from bench.board.schema import Board
from bench.names import draw_noun
from reports.wording import count_word


def draws_word(fractions: Iterable[float]) -> str:
    """The plural for some budgets: "draws", at all labels "repeats", or both."""
    nouns = sorted({f"{draw_noun(fraction)}s" for fraction in fractions})
    return " or ".join(nouns) or "draws"


def section_draws(board: Board, task: str, dataset: str) -> str:
    """The plural for all budgets of a section."""
    return draws_word(fractions_of(board, task, dataset))


def fractions_of(board: Board, task: str, dataset: str) -> set[float]:
    """The budgets of a section, as shares of the labels."""
    rows = [row.fraction for row in board.rows if (row.task, row.dataset) == (task, dataset)]
    gains = [gain.fraction for gain in board.gains if (gain.task, gain.dataset) == (task, dataset)]
    return {*rows, *gains}


def single_means(board: Board, task: str, dataset: str) -> str:
    """What each small dot of a section is the mean of: "one draw of the labelled patients"."""
    unit = board.datasets[dataset].unit.split(" (")[0]
    units = unit if unit.endswith("s") else f"{unit}s"
    of_fold = " in one fold" if board.suite.outer_folds is not None else ""
    fractions = fractions_of(board, task, dataset)
    parts = []
    if any(fraction < 1 for fraction in fractions):
        parts.append(f"one draw of the labelled {units}{of_fold}")
    if 1 in fractions:
        other = f", or with all {units} labelled," if parts else ""
        parts.append(f"{other} one repeat of the training{of_fold}".strip())
    return " ".join(parts).replace(" ,", ",")


def draw_label(board: Board, subset: int, fraction: float) -> str:
    """One subset by its number: "draw 2", "repeat 2", "draw 1, fold 3"."""
    folds = board.suite.outer_folds
    noun = draw_noun(fraction)
    if folds is None:
        return f"{noun} {subset + 1}"
    return f"{noun} {subset // folds + 1}, fold {subset % folds + 1}"


def draws_of_folds(board: Board, subsets: int, fraction: float) -> str:
    """How many draws each outer fold has: "2 draws in each of 5 folds"."""
    folds = board.suite.outer_folds or 1
    draws = subsets // folds
    plural = "" if draws == 1 else "s"
    return f"{draws} {draw_noun(fraction)}{plural} in each of {folds} folds"


def spoken_draws(board: Board, subsets: int, all_labels: bool, units: str) -> str:
    """What limits a verdict, as the subject of a sentence: "two draws of the labelled patients".

    With outer folds, that is how many there are.
    """
    folds = board.suite.outer_folds
    if folds is not None:
        return f"{count_word(folds)} folds"
    plural = "" if subsets == 1 else "s"
    if all_labels:
        return f"{count_word(subsets)} repeat{plural} of each training"
    return f"{count_word(subsets)} draw{plural} of the labelled {units}"
