"""Probabilities -> one line per case, and the metrics of classification. Opens the labels of test cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data import cache
from bench.errors import BenchError
from bench.metrics import classification
from bench.stats import jackknife
from bench.store import PROBABILITIES

FIELDS = ("case", "group", "label", "predicted", "probabilities")
COUNTED: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "accuracy": classification.accuracy,
    "balanced_accuracy": classification.balanced_accuracy,
    "macro_f1": classification.macro_f1,
}
METRICS = (*COUNTED, "auroc")


def score_labels(folder: Path, cached: Path, finished: bool) -> list[dict[str, object]]:
    """A row for each test case; a missing prediction is worst: no chance for the true label, another one predicted."""
    index, truth = cache.load_index(cached), cache.test_labels(cached)
    count = len(index["card"]["labels"])
    found = read_probabilities(folder / "predictions" / PROBABILITIES, count) if finished else {}
    rows: list[dict[str, object]] = []
    for entry in index["test"]:
        label = truth[entry["id"]]
        assert label is not None  # a suite with an unlabelled case is refused when it is planned
        chances = found.get(entry["id"])
        if chances is None:
            chances = np.where(np.arange(count) == label, 0.0, 1 / (count - 1))
        text = " ".join(f"{value:.9g}" for value in chances.tolist())
        predicted = int(chances.argmax())
        rows.append(
            {
                "case": entry["id"],
                "group": entry["group"],
                "label": label,
                "predicted": predicted,
                "probabilities": text,
            }
        )
    return rows


def read_probabilities(file: Path, count: int) -> Mapping[str, NDArray[np.float64]]:
    """Probabilities (K) by case id; empty where the file is missing, torn or of another number of labels."""
    try:
        with np.load(file) as content:
            ids, values = content["ids"], content["probabilities"].astype(float)
    except (
        Exception
    ):  # a torn archive raises whatever its damage leads to; the cases count as missing
        return {}
    if values.shape != (len(ids), count):
        return {}
    return dict(zip(ids.tolist(), values, strict=True))


class LabelScores:
    """The score table of one classification cell, as columns."""

    def __init__(self, rows: Sequence[Mapping[str, str]]) -> None:
        self.case = [row["case"] for row in rows]
        self.group = [row["group"] for row in rows]
        self.label = np.array([row["label"] for row in rows], dtype=int)
        self.predicted = np.array([row["predicted"] for row in rows], dtype=int)
        self.probabilities = np.array([row["probabilities"].split() for row in rows], dtype=float)

    def per_case(self, metric: str) -> dict[str, float]:
        """1 where a case is right, for accuracy; other metrics are of whole sets."""
        right = (self.label == self.predicted).astype(float)
        return dict(zip(self.case, right.tolist(), strict=True)) if metric == "accuracy" else {}

    def value(self, metric: str) -> float | None:
        """The metric over all cases, or None where it is not defined."""
        table = pseudo_table([self], metric)
        return None if table is None else float(table.mean())


def pseudo_table(scores: Sequence[LabelScores], metric: str) -> NDArray[np.float64] | None:
    """Pseudo-values, patients (sorted) x subsets (protocol R4.2c), each subset centred on its plain value.

    None where the metric is not defined, such as AUROC without two patients of a label.
    """
    first = scores[0]
    if metric in COUNTED:
        predicted = np.stack([found.predicted for found in scores], 1)
        counts = classification.confusion_counts(
            first.label, predicted, first.group, first.probabilities.shape[1]
        )
        table = jackknife.pseudo_values_of_sums(COUNTED[metric], counts)
        return _centred(table, COUNTED[metric](counts.sum(0)))
    try:
        return _auroc(scores)
    except BenchError:
        return None


def _auroc(scores: Sequence[LabelScores]) -> NDArray[np.float64]:
    """Each label against all others, then the mean over the labels; of two labels, that of the second."""
    first = scores[0]
    count = first.probabilities.shape[1]
    labels = [1] if count == 2 else range(count)
    tables = []
    for number in labels:
        column = np.stack([found.probabilities[:, number] for found in scores], 1)
        positive = first.label == number
        table = jackknife.auroc_pseudo_values(column, positive, first.group)
        plain = jackknife.auroc_pseudo_values(column, positive, ["all"] * len(positive))
        tables.append(_centred(table, plain[0]))
    return np.asarray(np.mean(tables, axis=0))


def _centred(table: NDArray[np.float64], plain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moved so that each subset's mean is the value that a reader computes; the spread stays that of the jackknife."""
    return table - table.mean(0) + plain
