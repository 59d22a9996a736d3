"""Means of the board computed in a second way, from the score tables of its cells.

See `bench.verify.plain_metrics`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from bench.board.schema import HEADLINE, TASKS
from bench.cell_folder import CellFolder
from bench.cell_records import Judgement
from bench.errors import BenchError
from bench.names import DEFAULT, TUNED, RowId, selected_variant
from bench.planning.cells import PlannedCell
from bench.store import Store
from bench.verify.plain_metrics import (
    DEFINED,
    OF_LABELS,
    OF_PSEUDO_HEALTHY,
    Lines,
    read_lines,
    value_of,
)

SYNTHETIC = ("fid", "fid_tf1", "fd", "kid", "copy_rate", "fd_normal")
GAINS = ("gain", "augmented_gain")
AUGMENTED = "augmented_dice"
PSEUDO_HEALTHY, PREDICTIONS = "pseudo-healthy", "predictions"  # score tables of a cell
METRICS = (*DEFINED, *OF_LABELS, *OF_PSEUDO_HEALTHY, *GAINS, *SYNTHETIC, AUGMENTED)
NO_JUDGEMENT = Judgement(inputs="")  # of a damaged file: no number is known
BySubset = dict[int, float | None]  # by draw: with outer folds, of all folds together


@dataclass(frozen=True, slots=True)
class StoredNumber:
    """One number of board.json, as far as it takes part in its recomputation."""

    row: RowId
    metric: str
    mean: float | None
    extractor: str | None = None

    @property
    def name(self) -> str:
        """Row and metric in words, as `mismatch.entry_name` gives them."""
        labels = [f"{field} {value}" for field, value in self.row._asdict().items()]
        return ", ".join([*labels, f"metric {self.metric}"])


class RowCell(NamedTuple):
    """A finished or failed cell of a row; `chosen` where the row shows its selected checkpoint."""

    subset: int
    folder: CellFolder
    chosen: bool


def read_numbers(rows: Any) -> list[StoredNumber]:
    """The rows of board.json; those that are damaged are left out, as other checks name them."""
    numbers = []
    for row in rows if isinstance(rows, list) else []:
        try:
            row_id = RowId(*(row[name] for name in RowId._fields))
            number = StoredNumber(row_id, row["metric"], row["mean"], row["extractor"])
        except (KeyError, TypeError):
            continue
        if row_id.task in TASKS:
            numbers.append(number)
    return numbers


def synthetic_value(judgement: Judgement, metric: str, extractor: str | None) -> float | None:
    """The number of one cell's synthetic images in the features of one extractor."""
    if metric == "copy_rate":
        copies = judgement.copies
        return copies.rate[0] if copies and copies.extractor == extractor else None
    to_healthy = metric == "fd_normal"
    for distance in judgement.normal if to_healthy else judgement.distances:
        has_metric = to_healthy or metric in (distance.metric, "kid")
        if distance.extractor == extractor and distance.reason is None and has_metric:
            return distance.kid if metric == "kid" else distance.distance
    return None


class PlainMeans:
    """Recomputes numbers of the board of one suite; reads each score table once.

    `read` is what reads them, if others have read them before.
    """

    def __init__(
        self,
        store: Store,
        cells: Sequence[PlannedCell],
        reference: str,
        folds: int = 1,
        read: Callable[[Path], Lines] | None = None,
        compared: Mapping[RowId, Sequence[int]] | None = None,
    ) -> None:
        self.store = store
        self.cells = cells
        self.reference = reference
        self.folds = folds  # outer folds; each tests other patients
        self._compared = compared or {}  # the subsets behind the gain of a row, where it is known
        self._read = read or cache(read_lines)
        self._values: dict[tuple[RowId, str], BySubset] = {}
        self._lines: dict[tuple[RowId, str], Mapping[int, Lines]] = {}

    def of_numbers(
        self, numbers: Sequence[StoredNumber]
    ) -> Iterator[tuple[StoredNumber, float | None]]:
        """Each stored number that is there and whose metric is defined here, with its mean."""
        for number in numbers:
            if number.mean is not None and number.metric in METRICS:
                yield number, self.mean_of(number)

    def mean_of(self, number: StoredNumber) -> float | None:
        """The mean of one row; None where it is not defined."""
        if number.metric in SYNTHETIC:
            return _mean_over_subsets(self._synthetic(number))
        if number.metric in GAINS:
            return self._gain(number)
        return _mean_over_subsets(self._by_subset(number.row, number.metric))

    def cells_of(self, row: RowId) -> Sequence[RowCell]:
        """The finished and failed cells of a row."""
        return self._cells_by_row.get(row, ())

    @cached_property
    def _cells_by_row(self) -> Mapping[RowId, Sequence[RowCell]]:
        """Sorted once: a pass over all cells for each of many rows takes minutes."""
        by_row: dict[RowId, list[RowCell]] = defaultdict(list)
        for cell in self.cells:
            if self.store.state(cell.key) not in ("done", "failed"):
                continue
            folder = self.store.cell(cell.key)
            chosen = None
            if cell.select:
                chosen = selected_variant(cell.variant, cell.select["by"])
                by_row[cell.row._replace(variant=chosen)].append(
                    RowCell(cell.subset, folder, chosen=True)
                )
            if cell.variant != chosen:
                by_row[cell.row].append(RowCell(cell.subset, folder, chosen=False))
        return by_row

    @cached_property
    def _planned_rows(self) -> set[RowId]:
        return {cell.row for cell in self.cells}

    def _by_subset(self, row: RowId, metric: str) -> BySubset:
        """The metric of each cell of a row; gains ask for it again."""
        if (row, metric) not in self._values:
            self._values[row, metric] = self._read_by_subset(row, metric)
        return self._values[row, metric]

    def _read_by_subset(self, row: RowId, metric: str) -> BySubset:
        plain_metric = "dice" if metric == AUGMENTED else metric
        values: BySubset = {}
        for draw, lines in self._lines_by_draw(row, _kind_of_table(metric)).items():
            values[draw] = value_of(lines, plain_metric)
        return values

    def _lines_by_draw(self, row: RowId, kind: str) -> Mapping[int, Lines]:
        """The score table of each draw, over all outer folds; of draws whose folds all ended."""
        if (row, kind) in self._lines:
            return self._lines[row, kind]
        tables: dict[int, list[Lines]] = defaultdict(list)
        for cell in self.cells_of(row):
            file = _table_of(cell, kind)
            if file.exists():
                tables[cell.subset // self.folds].append(self._read(file))
        lines = {}
        for draw, of_folds in tables.items():
            if len(of_folds) == self.folds:
                lines[draw] = _joined(of_folds)
        self._lines[row, kind] = lines
        return lines

    def _gain(self, number: StoredNumber) -> float | None:
        """Over the draws that the row and the reference both have, of those that are compared."""
        row = number.row
        headline = HEADLINE[row.task]
        metric = AUGMENTED if number.metric == "augmented_gain" else headline
        values = self._by_subset(row, metric)
        of_reference = self._by_subset(self._reference_of(row), headline)
        shared = values.keys() & of_reference.keys()
        if number.metric == "gain" and row in self._compared:
            shared &= {subset // self.folds for subset in self._compared[row]}
        mean = _mean_over_subsets({subset: values[subset] for subset in shared})
        base = _mean_over_subsets({subset: of_reference[subset] for subset in shared})
        return None if mean is None or base is None else mean - base

    def _reference_of(self, row: RowId) -> RowId:
        """The row of the reference: tuned rows take the tuned reference where there is one."""
        tuned = row._replace(method=self.reference, variant=TUNED)
        is_other_tuned = row.variant == TUNED and row.method != self.reference
        if is_other_tuned and tuned in self._planned_rows:
            return tuned
        return tuned._replace(variant=DEFAULT)

    def _synthetic(self, number: StoredNumber) -> BySubset:
        values: BySubset = {}
        for cell in self.cells_of(number.row):
            judgement = _read_judgement(cell.folder)
            if judgement is not None:
                values[cell.subset] = synthetic_value(judgement, number.metric, number.extractor)
        return values


def _read_judgement(folder: CellFolder) -> Judgement | None:
    try:
        return folder.read_judgement()
    except BenchError:
        return NO_JUDGEMENT


def _kind_of_table(metric: str) -> str:
    """Which score table of a cell holds a metric."""
    if metric in OF_PSEUDO_HEALTHY:
        return PSEUDO_HEALTHY
    return metric if metric == AUGMENTED else PREDICTIONS


def _table_of(cell: RowCell, kind: str) -> Path:
    """The score table of a kind."""
    if kind == PSEUDO_HEALTHY:
        return cell.folder.pseudo_healthy_scores
    if kind == AUGMENTED:
        return cell.folder.scores("augmented")
    best = cell.folder.scores("best")
    return best if cell.chosen and best.exists() else cell.folder.scores("last")


def _joined(tables: Sequence[Lines]) -> Lines:
    """The lines of some tables, in their order."""
    if len(tables) == 1:
        return tables[0]
    return [line for table in tables for line in table]


def _mean_over_subsets(values: Mapping[int, float | None]) -> float | None:
    """Every subset counts the same; None where one has no number."""
    known = [value for value in values.values() if value is not None]
    return fmean(known) if known and len(known) == len(values) else None
