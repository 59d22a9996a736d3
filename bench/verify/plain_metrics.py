"""Metrics of one score table a second way: csv and statistics alone, sharing no code with `results` and `scoring`."""

from __future__ import annotations

import csv
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

Lines = Sequence[Mapping[str, str]]
# metric -> the field of scores.csv that it averages, and whether the reference of a pair must hold the class
DEFINED: dict[str, tuple[str, bool | None]] = {
    "dice": ("dice", True),
    "jaccard": ("jaccard", True),
    "hd95": ("hd95", True),
    "asd": ("asd", True),
    "nsd": ("nsd", True),
    "fp_rate": ("predicted", False),
    "dice_all": ("dice", None),
}


def read(file: Path) -> Lines:
    """The lines of a CSV file by column."""
    with file.open(newline="", encoding="utf-8", errors="replace") as text:
        return list(csv.DictReader(text))


def value_of(lines: Lines, metric: str) -> float | None:
    """The metric of one cell; None where it is not defined or a number is missing."""
    try:
        return WHOLE[metric](lines) if metric in WHOLE else mean_of(lines, metric)
    except (KeyError, TypeError, ValueError, ArithmeticError):  # no number, or a mean of nothing
        return None


def mean_of(lines: Lines, metric: str) -> float:
    """Pairs averaged inside a case, cases inside a patient, then patients. Raises ValueError where there is none."""
    field, wanted = DEFINED[metric]
    cases: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        if wanted is None or (line["reference"] != "0") == wanted:
            cases[line["case"]].append(float(line[field]))
    return _over_patients({case: fmean(values) for case, values in cases.items()}, lines)


def _over_patients(values: Mapping[str, float], lines: Lines) -> float:
    patient = {line["case"]: line["group"] for line in lines}
    patients: dict[str, list[float]] = defaultdict(list)
    for case, value in values.items():
        patients[patient[case]].append(value)
    return fmean(map(fmean, patients.values()))


def accuracy(lines: Lines) -> float:
    """Share of cases that are told right."""
    return fmean(line["label"] == line["predicted"] for line in lines)


def balanced_accuracy(lines: Lines) -> float:
    """Mean over the labels that occur of the share of their cases that are told right."""
    labels = {line["label"] for line in lines}
    return fmean(accuracy([line for line in lines if line["label"] == label]) for label in labels)


def macro_f1(lines: Lines) -> float:
    """Mean of 2TP / (2TP + FP + FN) over the labels that occur or are told."""
    labels = {line[side] for line in lines for side in ("label", "predicted")}
    right = {
        label: sum(line["label"] == line["predicted"] == label for line in lines)
        for label in labels
    }
    both = {
        label: sum((line["label"] == label) + (line["predicted"] == label) for line in lines)
        for label in labels
    }
    return fmean(2 * right[label] / both[label] for label in labels)


def auroc(lines: Lines) -> float:
    """Chance that a case of a label has the higher probability of it, mean over labels; of two, that of the second."""
    chances = [[float(text) for text in line["probabilities"].split()] for line in lines]
    labels = range(len(chances[0])) if len(chances[0]) != 2 else [1]
    areas = []
    for label in labels:
        high = [
            found[label]
            for found, line in zip(chances, lines, strict=True)
            if int(line["label"]) == label
        ]
        low = [
            found[label]
            for found, line in zip(chances, lines, strict=True)
            if int(line["label"]) != label
        ]
        areas.append(_area(high, low))
    return fmean(areas)


def _area(high: Sequence[float], low: Sequence[float]) -> float:
    """Share of pairs in order, ties half."""
    ordered = sorted(low)
    wins = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in high) / 2
    return wins / (len(high) * len(low))


def healthiness(lines: Lines) -> float:
    """1 - lesion pixels left / those seen before, over all abnormal images together."""
    abnormal = _abnormal(lines)
    return 1 - sum(float(line["after"]) for line in abnormal) / sum(
        float(line["before"]) for line in abnormal
    )


def harmonic(lines: Lines) -> float:
    """Of healthiness and the mean identity of abnormal images; 0 where either is not above 0."""
    healthy, kept = healthiness(lines), fmean(float(line["identity"]) for line in _abnormal(lines))
    return 2 * healthy * kept / (healthy + kept) if healthy > 0 and kept > 0 else 0.0


def identity(lines: Lines) -> float:
    """Of abnormal images, averaged inside a patient first."""
    return _over_patients(
        {line["case"]: float(line["identity"]) for line in _abnormal(lines)}, lines
    )


def healthiness_dice(lines: Lines) -> float:
    """Dice of the lesion that is left with the true one, averaged likewise."""
    return _over_patients(
        {line["case"]: float(line["dice_after"]) for line in _abnormal(lines)}, lines
    )


def anomaly_auroc(lines: Lines) -> float:
    """Chance that an abnormal image is changed more than a normal one."""
    changes = [
        [float(line["anomaly"]) for line in lines if (line["abnormal"] == "1") == kind]
        for kind in (True, False)
    ]
    return _area(*changes)


def _abnormal(lines: Lines) -> Lines:
    return [line for line in lines if line["abnormal"] == "1"]


OF_LABELS: dict[str, Callable[[Lines], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "auroc": auroc,
}
OF_NORMALS: dict[str, Callable[[Lines], float]] = {
    "healthiness": healthiness,
    "healthiness_dice": healthiness_dice,
    "identity": identity,
    "harmonic": harmonic,
    "anomaly_auroc": anomaly_auroc,
}
WHOLE = {**OF_LABELS, **OF_NORMALS}
