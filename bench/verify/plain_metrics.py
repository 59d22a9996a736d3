"""Metrics of one score table computed in a second way.

Only the standard library is used, and no code of `bench.scoring`: an error in one of the two
implementations shows as a difference between them.
"""

from __future__ import annotations

import csv
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import fmean

Lines = Sequence[Mapping[str, str]]
# Metric -> the column that it averages, and whether the reference of a pair must hold the class;
# None where that does not matter.
DEFINED: dict[str, tuple[str, bool | None]] = {
    "dice": ("dice", True),
    "jaccard": ("jaccard", True),
    "hd95": ("hd95", True),
    "asd": ("asd", True),
    "nsd": ("nsd", True),
    "fp_rate": ("predicted", False),
    "dice_all": ("dice", None),
    "brier": ("brier", None),
    "ece": ("ece", None),
}


def read_lines(file: Path) -> Lines:
    """The lines of a CSV file by column; none of a file that is not CSV."""
    with file.open(newline="", encoding="utf-8", errors="replace") as text:
        try:
            header, *rows = [row for row in csv.reader(text) if row] or [[]]
            if all(len(row) == len(header) for row in rows):
                return [dict(zip(header, row, strict=True)) for row in rows]
            text.seek(0)
            return list(csv.DictReader(text))  # says which fields a line lacks
        except csv.Error:
            return []


def value_of(lines: Lines, metric: str) -> float | None:
    """The metric of one cell; None where it is not defined or a number is missing."""
    try:
        return WHOLE[metric](lines) if metric in WHOLE else mean_of(lines, metric)
    except (KeyError, TypeError, ValueError, ArithmeticError):  # no number, or a mean of nothing
        return None


def mean_of(lines: Lines, metric: str) -> float:
    """Mean over patients of means over cases of means over classes.

    Raises ValueError where no pair of a case and a class has the metric.
    """
    column, needs_reference = DEFINED[metric]
    cases = tuple(column_of(lines, "case"))
    patients = tuple(column_of(lines, "group"))
    references = tuple(column_of(lines, "reference"))
    texts = column_of(lines, column)
    of_patients = []
    for of_cases in _grouped(cases, patients, references, needs_reference):
        of_patients.append(_mean([_mean_of_case(texts, numbers) for numbers in of_cases]))
    return fmean(of_patients)


def _mean_of_case(texts: Sequence[str], numbers: Sequence[int]) -> float:
    """The mean of some lines of a column."""
    return _mean([float(texts[number]) for number in numbers])


@lru_cache(maxsize=64)
def _grouped(
    cases: Sequence[str],
    patients: Sequence[str],
    references: Sequence[str],
    needs_reference: bool | None,
) -> Sequence[Sequence[Sequence[int]]]:
    """The numbers of the lines that count, by case, by patient.

    Kept, because the tables of one test set are of the same cases.
    """
    patient_of = dict(zip(cases, patients, strict=True))
    grouped: dict[str, dict[str, list[int]]] = {}
    for number, (case, reference) in enumerate(zip(cases, references, strict=True)):
        if needs_reference is None or (reference != "0") == needs_reference:
            grouped.setdefault(patient_of[case], {}).setdefault(case, []).append(number)
    return [list(of_cases.values()) for of_cases in grouped.values()]


def _mean(values: Sequence[float]) -> float:
    """The mean of one or more values."""
    return values[0] if len(values) == 1 else fmean(values)


def column_of(lines: Lines, name: str) -> list[str]:
    """One column of a table. Raises KeyError where a line lacks it."""
    return [line[name] for line in lines]


def numbers_of(lines: Lines, name: str) -> list[float]:
    """One column of a table as numbers. Raises ValueError or TypeError where one is none."""
    return [float(text) for text in column_of(lines, name)]


def _mean_over_patients(values: Mapping[str, float], lines: Lines) -> float:
    """Values by case, averaged in each patient first."""
    patient_of = {line["case"]: line["group"] for line in lines}
    of_patient: dict[str, list[float]] = defaultdict(list)
    for case, value in values.items():
        of_patient[patient_of[case]].append(value)
    return fmean(map(_mean, of_patient.values()))


# --- classification


def accuracy(lines: Lines) -> float:
    """Share of cases classified correctly."""
    pairs = zip(column_of(lines, "label"), column_of(lines, "predicted"), strict=True)
    return fmean(label == predicted for label, predicted in pairs)


def balanced_accuracy(lines: Lines) -> float:
    """Share of the cases of a label classified correctly; the mean over the labels that occur."""
    lines_of: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for label, line in zip(column_of(lines, "label"), lines, strict=True):
        lines_of[label].append(line)
    return fmean(map(accuracy, lines_of.values()))


def macro_f1(lines: Lines) -> float:
    """Mean of 2TP / (2TP + FP + FN) over the labels that occur or are predicted."""
    labels = column_of(lines, "label")
    predictions = column_of(lines, "predicted")
    scores = []
    for label in {*labels, *predictions}:
        pairs = zip(labels, predictions, strict=True)
        correct = sum(truth == predicted == label for truth, predicted in pairs)
        total = labels.count(label) + predictions.count(label)
        scores.append(2 * correct / total)
    return fmean(scores)


def auroc(lines: Lines) -> float:
    """Probability that a case of a label is given a higher probability of it than another case.

    The mean over the labels; of two labels that of the second.
    """
    probabilities = [list(map(float, text.split())) for text in column_of(lines, "probabilities")]
    labels = list(map(int, column_of(lines, "label")))
    count = len(probabilities[0])
    areas = []
    for label in [1] if count == 2 else range(count):
        values = [chances[label] for chances in probabilities]
        areas.append(_area(values, [other == label for other in labels]))
    return fmean(areas)


def _area(values: Sequence[float], positive: Sequence[bool]) -> float:
    """Share of pairs of a positive and a negative in order, ties half."""
    pairs = list(zip(values, positive, strict=True))
    high = [value for value, is_positive in pairs if is_positive]
    low = sorted(value for value, is_positive in pairs if not is_positive)
    wins = sum(bisect_left(low, value) + bisect_right(low, value) for value in high) / 2
    return wins / (len(high) * len(low))


def label_brier(lines: Lines) -> float:
    """Mean over cases of the squared differences of all probabilities from the true label."""
    squares = []
    for label, chances in _labels_and_chances(lines):
        squares.append(sum((chance - (number == label)) ** 2 for number, chance in chances))
    return fmean(squares)


def label_ece(lines: Lines) -> float:
    """The gap between confidence and correctness in each of 15 bins, weighted by their cases."""
    gaps: dict[int, float] = defaultdict(float)
    for label, chances in _labels_and_chances(lines):
        predicted, highest = max(chances, key=lambda chance: chance[1])
        gaps[min(int(highest * 15), 14)] += highest - (predicted == label)
    return sum(map(abs, gaps.values())) / len(lines)


def _labels_and_chances(lines: Lines) -> list[tuple[int, list[tuple[int, float]]]]:
    """The label of each case, and the probability of each label by its number."""
    pairs = zip(column_of(lines, "label"), column_of(lines, "probabilities"), strict=True)
    return [(int(label), list(enumerate(map(float, text.split())))) for label, text in pairs]


# --- pseudo-healthy images


def healthiness(lines: Lines) -> float:
    """1 - lesion pixels left / lesion pixels seen before, over all abnormal images together."""
    abnormal = _abnormal(lines)
    return 1 - sum(numbers_of(abnormal, "after")) / sum(numbers_of(abnormal, "before"))


def harmonic(lines: Lines) -> float:
    """Harmonic mean of healthiness and the mean identity of abnormal images.

    0 where either is not above 0.
    """
    healthy = healthiness(lines)
    kept = fmean(numbers_of(_abnormal(lines), "identity"))
    if healthy <= 0 or kept <= 0:
        return 0.0
    return 2 * healthy * kept / (healthy + kept)


def identity(lines: Lines) -> float:
    """Identity of abnormal images, averaged in each patient first."""
    return _abnormal_mean(lines, "identity")


def healthiness_dice(lines: Lines) -> float:
    """Dice of the lesion that is left with the true one, averaged in each patient first."""
    return _abnormal_mean(lines, "dice_after")


def anomaly_auroc(lines: Lines) -> float:
    """Probability that an abnormal image is changed more than a normal one."""
    abnormal = [text == "1" for text in column_of(lines, "abnormal")]
    return _area(numbers_of(lines, "anomaly"), abnormal)


def _abnormal_mean(lines: Lines, column: str) -> float:
    abnormal = _abnormal(lines)
    values = zip(column_of(abnormal, "case"), numbers_of(abnormal, column), strict=True)
    return _mean_over_patients(dict(values), lines)


def _abnormal(lines: Lines) -> Lines:
    flags = column_of(lines, "abnormal")
    return [line for line, flag in zip(lines, flags, strict=True) if flag == "1"]


OF_LABELS: dict[str, Callable[[Lines], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "auroc": auroc,
    "label_brier": label_brier,
    "label_ece": label_ece,
}
OF_PSEUDO_HEALTHY: dict[str, Callable[[Lines], float]] = {
    "healthiness": healthiness,
    "healthiness_dice": healthiness_dice,
    "identity": identity,
    "harmonic": harmonic,
    "anomaly_auroc": anomaly_auroc,
}
WHOLE = {**OF_LABELS, **OF_PSEUDO_HEALTHY}
