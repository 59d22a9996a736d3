"""Score tables: written as CSV, read as data frames, averaged in classes, cases and patients."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.files import csv_text
from bench.metrics import classification
from bench.metrics.built_in import BUILT_IN
from bench.metrics.case_metric import CaseMetric
from bench.scoring.table_lines import SCORE_AGAIN, check_lines, read_label_lines, read_rows
from bench.stats import jackknife

if TYPE_CHECKING:
    import pandas as pd  # imported where it is used: it takes longer to import than most commands

Floats = NDArray[np.float64]
Row = Mapping[str, Any]  # a line of a table before it is written

# Of each pair of a case and a class: the columns that no metric fills, see bench.metrics.
PAIR_FIELDS = ("case", "group", "class", "reference", "predicted")
LABEL_FIELDS = ("case", "group", "label", "predicted", "probabilities")
DICE = next(metric for metric in BUILT_IN if metric.key == "dice")


def score_fields(metrics: Sequence[CaseMetric]) -> tuple[str, ...]:
    """The columns of a table of segmentation scores."""
    columns = dict.fromkeys(metric.table_column for metric in metrics)
    return (*PAIR_FIELDS, *(column for column in columns if column not in PAIR_FIELDS))


FIELDS = score_fields(BUILT_IN)


def as_csv(rows: Sequence[Row], fields: Sequence[str]) -> str:
    """Rows as text; None is an empty field, numbers keep all their digits."""
    lines: list[Sequence[Any]] = [fields]
    for row in rows:
        lines.append([row.get(field) for field in fields])
    return csv_text.write_rows(lines)


# --- segmentation


@dataclass(frozen=True)
class Means:
    """What each case, or each patient, of one cell scores: names x metrics, NaN where undefined."""

    names: NDArray[np.object_]
    values: Floats


@dataclass(frozen=True)
class Scores:
    """The scores of one cell of segmentation."""

    columns: Mapping[str, int]  # where a metric stands in the values
    cases: Means  # in the order of the table
    patients: Means  # sorted by name

    @property
    def names(self) -> list[str]:
        """The cases, in the order of the table."""
        return list(map(str, self.cases.names))

    def per_case(self, metric: str) -> dict[str, float]:
        """Mean over the classes of each case that has the metric."""
        return self._named(self.cases, metric)

    def per_group(self, metric: str) -> dict[str, float]:
        """Mean over the cases of each patient: the unit of every interval."""
        return self._named(self.patients, metric)

    def of_groups(self, metric: str) -> Floats:
        """Means of all patients (sorted); NaN where the metric is not defined."""
        return self.patients.values[:, self.columns[metric]]

    def count(self, metric: str) -> int:
        """How many cases have the metric."""
        values = self.cases.values[:, self.columns[metric]]
        return int(np.count_nonzero(~np.isnan(values)))

    def _named(self, means: Means, metric: str) -> dict[str, float]:
        values = means.values[:, self.columns[metric]]
        known = ~np.isnan(values)
        return dict(zip(means.names[known].tolist(), values[known].tolist(), strict=True))


def read_scores(
    file: Path, task: str, metrics: Sequence[CaseMetric] = BUILT_IN
) -> Scores | LabelScores:
    """The score table of one cell. Raises BenchError where a number is missing."""
    return read_draws({0: file}, task, metrics)[0]


def read_draws(
    files: Mapping[int, Path], task: str, metrics: Sequence[CaseMetric] = BUILT_IN
) -> dict[int, Scores | LabelScores]:
    """The score tables of the draws of a row, by draw: much faster than one after the other.

    Raises BenchError where a number is missing.
    """
    if task == "classification":
        return {draw: LabelScores(read_label_lines(file)) for draw, file in files.items()}
    if not files:
        return {}
    tables = list(files.values())
    scores = group_scores(*_read_frame(tables, metrics), list(map(str, tables)), metrics)
    return dict(zip(files, scores, strict=True))


def _read_frame(
    files: Sequence[Path], metrics: Sequence[CaseMetric]
) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """The lines of some tables, parsed at once, and the number of the table each comes from."""
    import pandas as pd

    text, counts = _join_tables(files)
    numbers = {metric.table_column for metric in metrics}
    try:
        frame = pd.read_csv(
            io.BytesIO(text),
            dtype={"case": "category", "group": "category", **dict.fromkeys(numbers, float)},
            na_values={column: [""] for column in numbers},
            keep_default_na=False,  # a case may be called NA
        )
    except ValueError as problem:  # pandas' own errors are ValueErrors too
        name = _unreadable(files, metrics)
        raise BenchError(f"{name} is no score table ({problem}); {SCORE_AGAIN}") from None
    lacking = sorted({"case", "group", "reference", *numbers} - set(frame.columns))
    if lacking:
        raise BenchError(f"{files[0]} has no column {lacking[0]}; {SCORE_AGAIN}")
    if len(frame) != sum(counts):
        raise BenchError(f"{_unreadable(files, metrics)} has broken lines; {SCORE_AGAIN}")
    table = np.repeat(np.arange(len(files)), counts)
    check_lines(frame, table, files, numbers)
    return frame, table


def _join_tables(files: Sequence[Path]) -> tuple[bytes, list[int]]:
    """Some tables as one with their common header, and how many lines each has."""
    contents = [file.read_bytes().partition(b"\n") for file in files]
    header = contents[0][0]
    parts = [header, b"\n"]
    counts = []
    for file, (columns, _, lines) in zip(files, contents, strict=True):
        if columns != header:
            raise BenchError(f"{file} has other columns than {files[0]}; {SCORE_AGAIN}")
        parts.append(lines)
        counts.append(_count_lines(lines))
    return b"".join(parts), counts


def _count_lines(lines: bytes) -> int:
    """How many lines of a table these are; a name in quotes may hold line breaks of its own."""
    if b'"' not in lines:
        return lines.count(b"\n")
    return len(csv_text.read_rows(lines.decode(errors="replace")))


def _unreadable(files: Sequence[Path], metrics: Sequence[CaseMetric]) -> Path:
    """The first of some tables that cannot be read, where one of them cannot."""
    for file in files[:-1]:
        try:
            _read_frame([file], metrics)
        except BenchError:
            return file
    return files[-1]


def group_scores(
    frame: pd.DataFrame,
    table: NDArray[np.intp],
    names: Sequence[str],
    metrics: Sequence[CaseMetric],
) -> list[Scores]:
    """Means of cases and patients, for each of the named tables that the lines belong to.

    Classes are averaged in a case first, then cases in a patient. Raises BenchError where a number
    is missing.
    """
    import pandas as pd

    values = _defined_values(frame, table, names, metrics)
    case_names = frame["case"].cat.categories.to_numpy(dtype=object)
    patient_names = frame["group"].cat.categories.to_numpy(dtype=object)
    case = table * len(case_names) + frame["case"].cat.codes.to_numpy()
    patient = table * len(patient_names) + frame["group"].cat.codes.to_numpy()
    by_case = pd.DataFrame(values).groupby(case, sort=False).mean()
    patient_of_case = patient[~pd.Series(case).duplicated().to_numpy()]
    by_patient = by_case.groupby(patient_of_case, sort=True).mean()

    columns = {metric.key: number for number, metric in enumerate(metrics)}
    cases = _split_means(by_case, case_names, len(names))
    patients = _split_means(by_patient, patient_names, len(names))
    return [Scores(columns, *part) for part in zip(cases, patients, strict=True)]


def _defined_values(
    frame: pd.DataFrame,
    table: NDArray[np.intp],
    names: Sequence[str],
    metrics: Sequence[CaseMetric],
) -> Floats:
    """Lines x metrics, NaN on the pairs that a metric is not defined on."""
    has_reference = frame["reference"].to_numpy() > 0
    columns = [metric.table_column for metric in metrics]
    values = frame[columns].to_numpy(copy=True)
    for number, metric in enumerate(metrics):
        defined = np.where(has_reference, metric.is_defined(True), metric.is_defined(False))
        column = values[:, number]
        lacking = np.flatnonzero(defined & np.isnan(column))
        if lacking.size:
            where = f"{names[table[lacking[0]]]}: case {frame['case'].iloc[lacking[0]]}"
            raise BenchError(f"{where} has no {metric.table_column}; {SCORE_AGAIN}")
        column[~defined] = np.nan
    return values


def _split_means(means: pd.DataFrame, names: NDArray[np.object_], tables: int) -> list[Means]:
    """Means whose index is table * names + name, apart for each table."""
    table, name = np.divmod(means.index.to_numpy(dtype=np.intp), max(1, len(names)))
    starts = np.searchsorted(table, np.arange(1, tables))
    parts = zip(np.split(names[name], starts), np.split(means.to_numpy(), starts), strict=True)
    return [Means(*part) for part in parts]


def join_folds(folds: Sequence[Scores]) -> Scores:
    """The scores of one draw over all outer folds, each of which tests other patients."""
    cases = _join_means([fold.cases for fold in folds])
    patients = _join_means([fold.patients for fold in folds])
    order = np.argsort(patients.names, kind="stable")
    by_name = Means(patients.names[order], patients.values[order])
    return Scores(folds[0].columns, cases, by_name)


def _join_means(parts: Sequence[Means]) -> Means:
    names = np.concatenate([part.names for part in parts])
    values = np.concatenate([part.values for part in parts])
    return Means(names, values)


def mean_of_rows(rows: Sequence[Row], metric: CaseMetric) -> float | None:
    """A metric of rows that are not written, averaged as on the leaderboard; None if undefined."""
    import pandas as pd

    if not rows:
        return None
    types = {"case": "category", "group": "category", metric.table_column: float}
    frame = pd.DataFrame(rows).astype(types)
    [scores] = group_scores(frame, np.zeros(len(frame), np.intp), ["scores"], [metric])
    return mean_of(scores, metric.key)


# --- classification

COUNTED: dict[str, Callable[[Floats], Floats]] = {
    "accuracy": classification.accuracy,
    "balanced_accuracy": classification.balanced_accuracy,
    "macro_f1": classification.macro_f1,
}
# Of sums over patients: see `classification.calibration_sums`.
CALIBRATED: dict[str, Callable[[Floats], Floats]] = {
    "label_brier": classification.brier_score,
    "label_ece": classification.calibration_error,
}
LABEL_METRICS = (*COUNTED, "auroc", *CALIBRATED)


class LabelScores:
    """The scores of one cell of classification, as columns."""

    def __init__(self, rows: Sequence[Mapping[str, str]]) -> None:
        self.names = [row["case"] for row in rows]
        self.group = [row["group"] for row in rows]
        self.label = np.array([row["label"] for row in rows], dtype=int)
        self.predicted = np.array([row["predicted"] for row in rows], dtype=int)
        self.probabilities = np.array([row["probabilities"].split() for row in rows], dtype=float)

    def per_case(self, metric: str) -> dict[str, float]:
        """1 where a case is classified correctly, for accuracy; other metrics are of whole sets."""
        if metric != "accuracy":
            return {}
        correct = (self.label == self.predicted).astype(float)
        return dict(zip(self.names, correct.tolist(), strict=True))

    def value(self, metric: str) -> float | None:
        """The metric over all cases, or None where it is not defined."""
        matrix = label_matrix([self], metric)
        return None if matrix is None else float(matrix.mean())


def label_matrix(scores: Sequence[LabelScores], metric: str) -> Floats | None:
    """Pseudo-values, patients (sorted) x draws (R4.2c), each draw centred on its plain value.

    None where the metric is not defined, such as AUROC without two patients of a label.
    """
    first = scores[0]
    if metric in COUNTED:
        statistic = COUNTED[metric]
        predicted = np.stack([draw.predicted for draw in scores], 1)
        labels = first.probabilities.shape[1]
        counts = classification.confusion_counts(first.label, predicted, first.group, labels)
        matrix = jackknife.pseudo_values_of_sums(statistic, counts)
        return centred(matrix, statistic(counts.sum(0)))
    if metric in CALIBRATED:
        probabilities = np.stack([draw.probabilities for draw in scores], 1)
        sums = classification.calibration_sums(first.label, probabilities, first.group)
        matrix = jackknife.pseudo_values_of_sums(CALIBRATED[metric], sums)
        return centred(matrix, CALIBRATED[metric](sums.sum(0)))
    try:
        return _auroc_matrix(scores)
    except BenchError:
        return None


def _auroc_matrix(scores: Sequence[LabelScores]) -> Floats:
    """Each label against all others, then the mean over labels; of two labels only the second."""
    first = scores[0]
    count = first.probabilities.shape[1]
    labels = [1] if count == 2 else range(count)
    matrices = []
    for label in labels:
        probabilities = np.stack([draw.probabilities[:, label] for draw in scores], 1)
        positive = first.label == label
        matrices.append(centred_auroc(probabilities, positive, first.group))
    return np.asarray(np.mean(matrices, axis=0))


def centred_auroc(values: Floats, positive: NDArray[np.bool_], groups: Sequence[str]) -> Floats:
    """AUROC of values (cases x draws) as pseudo-values, patients x draws.

    Raises BenchError where it is not defined.
    """
    matrix = jackknife.auroc_pseudo_values(values, positive, groups)
    return centred(matrix, classification.auroc(values, positive))


def centred(matrix: Floats, plain: Floats) -> Floats:
    """Moved so that the mean of each draw is its plain value; the spread stays the jackknife's."""
    return np.asarray(matrix - matrix.mean(0) + plain)


# --- all tasks


def score_matrix(scores: Sequence[Scores | LabelScores], metric: str) -> Floats | None:
    """Patients (sorted) x draws, None where the metric is not defined.

    Metrics of whole sets, those of classification, give pseudo-values.
    """
    if not scores:
        return None
    of_labels = [draw for draw in scores if isinstance(draw, LabelScores)]
    if of_labels:
        return label_matrix(of_labels, metric)
    columns = [draw.of_groups(metric) for draw in scores if isinstance(draw, Scores)]
    matrix = np.stack(columns, 1)
    defined = ~np.isnan(matrix[:, 0])  # by the reference, which all draws share
    return matrix[defined] if defined.any() else None


def mean_of(scores: Scores | LabelScores, metric: str) -> float | None:
    """The metric of one cell: the mean over its patients, or None where it is not defined."""
    if isinstance(scores, LabelScores):
        return scores.value(metric)
    means = scores.of_groups(metric)
    known = means[~np.isnan(means)]
    return float(known.mean()) if known.size else None


def cases_of(scores: Scores | LabelScores, metric: str) -> int:
    """How many cases a metric is taken over."""
    return len(scores.names) if isinstance(scores, LabelScores) else scores.count(metric)


def held_out_headline(files: Sequence[Path], task: str) -> dict[str, float]:
    """The headline of each patient over the folds of a trial; their mean is the trial's value."""
    if task == "classification":
        rows: list[dict[str, str]] = []
        for file in files:
            rows += read_rows(file)
        matrix = label_matrix([LabelScores(rows)], "balanced_accuracy")
        assert matrix is not None
        patients = sorted({row["group"] for row in rows})
        return dict(zip(patients, matrix[:, 0].tolist(), strict=True))
    frame, fold = _read_frame(files, [DICE])
    [scores] = group_scores(frame, np.zeros_like(fold), ["held-out scores"], [DICE])
    return scores.per_group("dice")
