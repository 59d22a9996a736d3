"""Labels predicted for whole images -> a score table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data import cache
from bench.data.index import Index
from bench.scoring.tables import Row
from bench.store import PROBABILITIES


def score_labels(predictions: Path | None, decoded: Path, index: Index) -> list[Row]:
    """A row for each test case.

    A missing prediction is the worst: no probability of the true label, another one predicted.
    """
    truth = cache.test_labels(decoded)
    count = len(index.card.labels)
    known: Mapping[str, NDArray[np.float64]] = {}
    if predictions is not None:
        known = read_probabilities(predictions / PROBABILITIES, count)
    rows: list[Row] = []
    for entry in index.test:
        label = truth[entry.id]
        assert label is not None  # a suite with an unlabelled case is refused when it is planned
        probabilities = known.get(entry.id)
        if probabilities is None:
            probabilities = np.where(np.arange(count) == label, 0.0, 1 / (count - 1))
        row = {
            "case": entry.id,
            "group": entry.group,
            "label": label,
            "predicted": int(probabilities.argmax()),
            "probabilities": " ".join(f"{value:.9g}" for value in probabilities.tolist()),
        }
        rows.append(row)
    return rows


def read_probabilities(file: Path, count: int) -> Mapping[str, NDArray[np.float64]]:
    """Probabilities (K) by case id; empty where the file is missing, torn or of other labels."""
    try:
        with np.load(file) as content:
            ids = content["ids"]
            values = content["probabilities"].astype(float)
    except Exception:  # whatever the damage of a torn archive leads to; its cases count as missing
        return {}
    if values.shape != (len(ids), count):
        return {}
    return dict(zip(ids.tolist(), values, strict=True))
