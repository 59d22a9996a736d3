"""How a number of the board comes about, from the scores of single cases up: `explain`.

The score tables are read, and averaged, by the second implementation that `verify` compares with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean

from bench.board import file as board_file
from bench.board.schema import Board, Row
from bench.cell_records import PredictionSet
from bench.errors import BenchError, cut
from bench.names import DEFAULT, RowId, draw_noun, method_label, row_label
from bench.planning.plan_file import Plan, read_plan
from bench.store import Store, refuse_links
from bench.verify.plain_metrics import DEFINED, WHOLE, Lines, read_lines, value_of
from bench.verify.recompute import PlainMeans

_Scores = dict[str, dict[str, dict[str, float]]]  # patient -> case -> class -> score


@dataclass(frozen=True, slots=True)
class AskedNumber:
    """What a user wants to have explained."""

    method: str  # its name, or its label on the page
    labelled: int
    metric: str
    draw: int = 1  # whose patients are listed
    dataset: str = ""  # where there are several


@dataclass(frozen=True, slots=True)
class _Draw:
    """The score tables of one draw, one for each outer fold, and what they give."""

    files: Sequence[Path]
    lines: Lines
    value: float | None


def explanation(store: Store, asked: AskedNumber) -> list[str]:
    """Lines from the number on the board down to the scores of single cases.

    Raises BenchError for a number that the board does not have or that no table holds.
    """
    refuse_links(store.out)
    _check_metric(asked.metric)
    plan = read_plan(store.out)
    number = _number_of(board_file.read(store.out), asked)
    draws = _draws_of(store, plan, number.row_id, asked.metric)
    if asked.draw not in draws:
        listed = ", ".join(map(str, draws)) or "none"
        raise BenchError(f"--draw {asked.draw} given; this row has {listed}; give one of these")
    noun = draw_noun(number.fraction)
    return [
        *_head_lines(number, draws, noun),
        *_draw_lines(draws, asked.draw, noun, store.out),
        *_patient_lines(draws[asked.draw].lines, asked.metric),
    ]


def _check_metric(metric: str) -> None:
    if metric not in DEFINED and metric not in WHOLE:
        known = ", ".join([*DEFINED, *WHOLE])
        raise BenchError(
            f"metric {cut(metric)} given; explained are means over cases: {known}; a gain is the "
            "difference of two of them over the draws that both methods have"
        )


def _number_of(board: Board, asked: AskedNumber) -> Row:
    """The one number of the board that is meant."""
    named = _rows_named(board, asked.method)
    numbers = [row for row in named if row.labelled == asked.labelled]
    if not numbers:
        counts = sorted({row.labelled for row in named})
        raise BenchError(
            f"labelled {asked.labelled} given; {asked.method} has rows at "
            f"{', '.join(map(str, counts))}; give one of these"
        )
    chosen = []
    for row in numbers:
        if row.metric == asked.metric and asked.dataset in ("", row.dataset):
            chosen.append(row)
    if len(chosen) > 1:
        names = ", ".join(sorted({row.dataset for row in chosen}))
        raise BenchError(
            f"{asked.method} at {asked.labelled} labels is on {names}; give one as --dataset"
        )
    if not chosen or chosen[0].mean is None:
        raise BenchError(
            f"{asked.method} has no {asked.metric} at {asked.labelled} labels; see the page for why"
        )
    return chosen[0]


def _rows_named(board: Board, name: str) -> list[Row]:
    """The rows of a method as the page names it, or of one that has a single variant."""
    named = [row for row in board.rows if _is_of(row, name)]
    if named:
        return named
    variants = [row for row in board.rows if row.method == name]
    if len({row.variant for row in variants}) == 1:
        return variants
    methods = sorted({method_label(row.method, row.variant) for row in board.rows})
    raise BenchError(
        f"method {cut(name)} given; the board has {', '.join(methods)}; choose one of these"
    )


def _is_of(row: Row, name: str) -> bool:
    is_default = row.method == name and row.variant == DEFAULT
    return is_default or method_label(row.method, row.variant) == name


def _draws_of(store: Store, plan: Plan, row: RowId, metric: str) -> dict[int, _Draw]:
    """The tables of each draw, counted from 1; a draw counts when all its outer folds ended."""
    folds = plan.suite.folds
    means = PlainMeans(store, plan.cells, plan.suite.reference, folds)
    files: dict[int, list[Path]] = defaultdict(list)
    for cell in means.cells_of(row):
        which: PredictionSet = "last"
        if cell.chosen:
            which = "best"
        table = cell.folder.scores(which)
        if table.exists():
            files[1 + cell.subset // folds].append(table)
    draws: dict[int, _Draw] = {}
    for number, of_draw in sorted(files.items()):
        if len(of_draw) < folds:
            continue
        tables = map(read_lines, of_draw)
        lines = list(chain.from_iterable(tables))
        draws[number] = _Draw(of_draw, lines, value_of(lines, metric))
    return draws


def _head_lines(number: Row, draws: Mapping[int, _Draw], noun: str) -> list[str]:
    """The number on the board, and the mean of its draws that gives it."""
    interval = ""
    if number.lo is not None and number.hi is not None:
        interval = f", 95% interval {number.lo:.4f} to {number.hi:.4f} ({number.interval})"
    values = [draw.value for draw in draws.values() if draw.value is not None]
    return [
        f"{number.metric} of {row_label(number.row_id)}",
        f"board.json: {number.mean:.4f}{interval}",
        f"score tables: {fmean(values):.4f} = mean of {len(values)} {noun}s",
    ]


def _draw_lines(draws: Mapping[int, _Draw], shown: int, noun: str, out: Path) -> list[str]:
    """Each draw with its mean and its tables."""
    lines = []
    for number, draw in draws.items():
        value = "not defined" if draw.value is None else f"{draw.value:.4f}"
        tables = ", ".join(str(file.relative_to(out)) for file in draw.files)
        mark = " (below)" if number == shown else ""
        lines.append(f"  {noun} {number}: {value}  {tables}{mark}")
    return lines


def _patient_lines(lines: Lines, metric: str) -> list[str]:
    """Every patient of a draw with its cases, and the classes of each case."""
    if metric in WHOLE:
        return [f"  it is of all {len(lines)} test images together; the table has a line for each"]
    patients, left_out = _scores_by_patient(lines, metric)
    told = [f"mean of {len(patients)} patients, of the mean of their cases, of their classes:"]
    for patient, cases in patients.items():
        of_cases = {case: fmean(classes.values()) for case, classes in cases.items()}
        told.append(f"  {patient}: {fmean(of_cases.values()):.4f}")
        for case, classes in cases.items():
            scores = ", ".join(f"class {name} {value:.4f}" for name, value in classes.items())
            told.append(f"    {case}: {of_cases[case]:.4f} ({scores})")
    if left_out:
        told.append(f"  {left_out} pairs of case and class do not count: {metric} is not defined")
    return told


def _scores_by_patient(lines: Lines, metric: str) -> tuple[_Scores, int]:
    """The score of every pair of case and class, and how many pairs have none."""
    column, needs_reference = DEFINED[metric]
    patients: _Scores = defaultdict(lambda: defaultdict(dict))
    left_out = 0
    for line in lines:
        if needs_reference is None or (line["reference"] != "0") == needs_reference:
            patients[line["group"]][line["case"]][line["class"]] = float(line[column])
        else:
            left_out += 1
    return patients, left_out
