"""What whole label curves say of methods: label equivalents, and the area under each curve."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.board.caveats import plural_unit
from bench.board.columns import COLUMNS
from bench.board.rows import (
    RowCells,
    find_reference,
    folds_of_patients,
    matrix_of,
    rows_by_budget,
    seed_name,
    shared_subsets,
    status_of,
)
from bench.board.schema import (
    HEADLINE,
    CurveArea,
    EquivalentNote,
    LabelEquivalent,
    ReferenceStep,
)
from bench.board.shared_draws import means_of_subsets, share_tables
from bench.names import DEFAULT, method_label
from bench.planning.dataset_facts import DatasetFacts
from bench.stats import intervals, label_efficiency
from bench.stats.intervals import Folds, Interval
from bench.stats.label_efficiency import Equivalence
from bench.stats.verdicts import Verdict, gains_over_references

FEWEST_BUDGETS = 3  # of an area
Curve = Sequence[RowCells]  # one method, by increasing budget


class AreaGain(NamedTuple):
    """The area of a method minus the reference's, and the word for it."""

    interval: Interval
    verdict: Verdict


@dataclass
class Equivalents:
    """What methods are worth in labels, and why others have no such number."""

    known: list[LabelEquivalent] = field(default_factory=list)
    notes: list[EquivalentNote] = field(default_factory=list)


def label_equivalents(
    rows: Sequence[RowCells], reference: str, datasets: Mapping[str, DatasetFacts]
) -> Equivalents:
    """The labels that the reference needs for the same score, of each method below all labels.

    `rows` holds the budgets of the reference alone too. A method has one from 3 draws on, where
    every row behind it is finished, none of its cells failed, and an end of its interval is known
    (R4.9b).
    """
    equivalents = Equivalents()
    for group in rows_by_budget(rows):
        reasons: dict[str, list[str]] = defaultdict(list)
        compared = [cells for cells in group if _has_equivalent(cells, reference)]
        for cells in compared:
            units = plural_unit(datasets[cells.row.dataset])
            equivalent = _equivalent_of(cells, rows, reference, units)
            if isinstance(equivalent, LabelEquivalent):
                equivalents.known.append(equivalent)
            else:
                reasons[equivalent].append(method_label(*cells.row.contender))
        if reasons:
            equivalents.notes.append(_equivalent_note(compared, reasons))
    return equivalents


def _has_equivalent(cells: RowCells, reference: str) -> bool:
    """Whether a row is one that a label equivalent is asked of."""
    is_reference = cells.row.contender == (reference, DEFAULT)
    return not (is_reference or cells.selected or cells.fraction == 1 or cells.refusal)


def _equivalent_of(
    cells: RowCells, rows: Sequence[RowCells], reference: str, units: str
) -> LabelEquivalent | str:
    """The label equivalent of a row, or why it has none."""
    if not _all_complete([cells]):
        return "its runs are not all finished, or some failed"
    reason = _too_few_draws(cells)
    if reason:
        return reason
    curve = _reference_curve(rows, cells, reference)
    if len(curve) < 2:
        return f"{reference} has fewer than 2 budgets with as many draws"
    if not _all_complete(curve):
        return f"runs of {reference} are not all finished, or some failed"
    shared = shared_subsets([*curve, cells])
    tables = _headline_tables([*curve, cells], shared)
    if tables is None:
        return "the headline is not defined on this test set"
    labelled = [float(other.row.labelled) for other in curve]
    folds = _folds_of_curve(curve)
    equivalence = label_efficiency.label_equivalence(labelled, tables[:-1], tables[-1], True, folds)
    if not equivalence.says_something:
        return f"the budgets of {reference} end on both sides before its interval does"
    n_subsets = len(shared) * intervals.fold_count(folds)
    return _label_equivalent(cells, equivalence, n_subsets, units)


def _too_few_draws(cells: RowCells) -> str:
    """Why a row has too few draws for an interval; "" otherwise. Outer folds count as draws do."""
    fewest = label_efficiency.FEWEST_DRAWS
    if cells.folds > 1:
        few_folds = f"it needs {fewest} outer folds, there are {cells.folds}"
        return few_folds if cells.folds < fewest else ""
    draws = len(cells.scores)
    return f"it needs {fewest} draws, there are {draws}" if draws < fewest else ""


def _equivalent_note(
    compared: Sequence[RowCells], reasons: Mapping[str, Sequence[str]]
) -> EquivalentNote:
    first = compared[0]
    parts = []
    for reason, labels in reasons.items():
        names = "all methods" if len(labels) == len(compared) else ", ".join(labels)
        parts.append(f"{names}: {reason}")
    return EquivalentNote(
        task=first.row.task,
        dataset=first.row.dataset,
        labelled=first.row.labelled,
        fraction=first.fraction,
        text=f"No label equivalent of {'; of '.join(parts)}.",
    )


def reference_ladder(rows: Sequence[RowCells]) -> list[ReferenceStep]:
    """The reference at each budget where it alone is run."""
    steps = []
    for cells in rows:
        if cells.ladder and not cells.selected:
            steps.append(_reference_step(cells))
    return steps


def _reference_step(cells: RowCells) -> ReferenceStep:
    metric = HEADLINE[cells.row.task]
    subsets = sorted(cells.scores)
    table = matrix_of(cells, metric, subsets)
    [column] = [column for column in COLUMNS if column.key == metric]
    status, reason = status_of(cells, column, table is not None)
    mean = None
    draws: dict[int, float] = {}
    if table is not None:
        mean = float(table.mean())
        folds = folds_of_patients(cells, metric)
        draws = means_of_subsets(table, subsets, folds, cells.folds)
    return ReferenceStep(
        task=cells.row.task,
        dataset=cells.row.dataset,
        labelled=cells.row.labelled,
        fraction=cells.fraction,
        method=cells.row.method,
        metric=metric,
        mean=mean,
        subsets=list(draws),
        draws=list(draws.values()),
        status=status,
        reason=reason,
    )


def _reference_curve(rows: Sequence[RowCells], cells: RowCells, reference: str) -> list[RowCells]:
    """The reference with its defaults, on the data set of a row.

    A budget with fewer draws of labelled patients would reduce all others to those draws, which
    costs more than it tells.
    """
    place = (cells.row.task, cells.row.dataset)
    curve = []
    for other in rows:
        same_place = (other.row.task, other.row.dataset) == place and not other.selected
        if same_place and other.row.contender == (reference, DEFAULT):
            curve.append(other)
    curve.sort(key=lambda other: other.fraction)
    return [other for other in curve if len(other.scores) >= len(cells.scores)]


def _label_equivalent(
    cells: RowCells, equivalence: Equivalence, n_subsets: int, units: str
) -> LabelEquivalent:
    labelled = cells.row.labelled
    return LabelEquivalent(
        task=cells.row.task,
        dataset=cells.row.dataset,
        labelled=labelled,
        fraction=cells.fraction,
        method=cells.row.method,
        variant=cells.row.variant,
        n_subsets=n_subsets,
        words=label_efficiency.describe_equivalence(equivalence, labelled, units),
        estimate=equivalence.estimate,
        lo=equivalence.lo,
        hi=equivalence.hi,
    )


def curve_areas(rows: Sequence[RowCells], reference: str) -> list[CurveArea]:
    """Area under the headline over log(labels) of each method that has every budget (R4.9a).

    Only with 3 budgets or more: of two, the area is the average of the two ends. Budgets are those
    below all labels; where these are fewer than 3, all labels count too.
    """
    places: dict[tuple[str, str], list[RowCells]] = defaultdict(list)
    for cells in rows:
        if not cells.selected:
            places[cells.row.task, cells.row.dataset].append(cells)
    areas: list[CurveArea] = []
    for group in places.values():
        areas += _areas_of(group, reference)
    return areas


def _areas_of(rows: Sequence[RowCells], reference: str) -> list[CurveArea]:
    """The areas of one task on one data set."""
    fractions = _budgets_of_areas(rows)
    if len(fractions) < FEWEST_BUDGETS:
        return []
    curves = _whole_curves(rows, fractions)
    gains = _gains_of_areas(curves, fractions, reference)
    return [_curve_area(curve, fractions, gains.get(name)) for name, curve in curves.items()]


def _budgets_of_areas(rows: Sequence[RowCells]) -> list[float]:
    fractions = sorted({cells.fraction for cells in rows})
    low = [fraction for fraction in fractions if fraction < 1]
    return low if len(low) >= FEWEST_BUDGETS else fractions


def _whole_curves(rows: Sequence[RowCells], fractions: Sequence[float]) -> dict[str, Curve]:
    """The curve of each method that has every budget, by the seed name of its first row."""
    curves: dict[str, Curve] = {}
    for contender in dict.fromkeys(cells.row.contender for cells in rows):
        curve = _whole_curve(rows, contender, fractions)
        if curve:
            curves[seed_name(curve[0].row)] = curve
    return curves


def _gains_of_areas(
    curves: Mapping[str, Curve], fractions: Sequence[float], reference: str
) -> dict[str, AreaGain]:
    """Each area minus the reference's, paired by patient and draw; areas share draws too.

    An area is linear in the scores, so that its differences are those of R4.1b.
    """
    firsts = {name: curve[0] for name, curve in curves.items()}
    references = {}
    for name, cells in firsts.items():
        base = find_reference(cells, list(firsts.values()), reference)
        if base is not None and base is not cells:
            references[name] = seed_name(base.row)
    subsets = shared_subsets([cells for curve in curves.values() for cells in curve])
    if not references or not subsets:
        return {}
    tables = {name: _area(curve, fractions, subsets) for name, curve in curves.items()}
    folds = _folds_of_curve(next(iter(curves.values())))
    by_name = gains_over_references(share_tables(firsts, tables, folds), references, True)
    patients, draws = next(iter(tables.values())).shape
    draws *= intervals.fold_count(folds)
    gains = {}
    for name, gain in by_name.items():
        kind = intervals.kind_of_difference(patients, draws, gain.p is not None)
        gains[name] = AreaGain(Interval(gain.mean, gain.lo, gain.hi, kind), gain.verdict)
    return gains


def _curve_area(curve: Curve, fractions: Sequence[float], gain: AreaGain | None) -> CurveArea:
    subsets = shared_subsets(curve)
    row = curve[0].row
    folds = _folds_of_curve(curve)
    area = intervals.mean_with_interval_if_known(_area(curve, fractions, subsets), folds)
    return CurveArea(
        task=row.task,
        dataset=row.dataset,
        method=row.method,
        variant=row.variant,
        fractions=fractions,
        n_subsets=len(subsets) * intervals.fold_count(folds),
        mean=area.mean,
        lo=area.lo,
        hi=area.hi,
        kind=area.kind,
        gain=gain.interval if gain is not None else None,
        verdict=gain.verdict if gain is not None else None,
    )


def _folds_of_curve(curve: Curve) -> Folds:
    """The outer fold of each patient of an area; all budgets are tested on the same patients."""
    return folds_of_patients(curve[0], HEADLINE[curve[0].row.task])


def _whole_curve(
    rows: Sequence[RowCells], contender: tuple[str, str], fractions: Sequence[float]
) -> list[RowCells]:
    """The rows of a method by budget; none unless every budget has its numbers."""
    by_fraction: Mapping[float, RowCells] = {
        cells.fraction: cells for cells in rows if cells.row.contender == contender
    }
    curve = [by_fraction[fraction] for fraction in fractions if fraction in by_fraction]
    if len(curve) < len(fractions) or not _all_complete(curve):
        return []
    shared = shared_subsets(curve)
    if not shared or _headline_tables(curve, shared) is None:
        return []
    return curve


def _all_complete(rows: Sequence[RowCells]) -> bool:
    """Whether all cells are done and none failed; which column is asked makes no difference."""
    statuses = [status_of(cells, COLUMNS[0], True) for cells in rows]
    return all(status == "ok" for status, _ in statuses)


def _headline_tables(
    rows: Sequence[RowCells], subsets: Sequence[int]
) -> NDArray[np.float64] | None:
    """Rows x patients x subsets; None where the headline is not defined."""
    tables = []
    for cells in rows:
        table = matrix_of(cells, HEADLINE[cells.row.task], subsets)
        if table is None:
            return None
        tables.append(table)
    return np.stack(tables)


def _area(curve: Curve, fractions: Sequence[float], subsets: Sequence[int]) -> NDArray[np.float64]:
    """Areas of patients x subsets."""
    tables = _headline_tables(curve, subsets)
    assert tables is not None  # a whole curve is defined
    return label_efficiency.area_table(fractions, tables)
