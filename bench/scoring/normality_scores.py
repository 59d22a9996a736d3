"""Scores of pseudo-normal images as tables of patients x subsets, where they are sums by pseudo-values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.metrics import pseudo_healthy
from bench.stats import jackknife

FIELDS = (
    "case", "group", "abnormal", "area", "before", "after", "dice_after", "identity", "inside", "outside", "anomaly",
)  # fmt: skip
Floats = NDArray[np.float64]


class NormalityScores:
    """The `normality.csv` of one cell, as columns."""

    def __init__(self, rows: Sequence[Mapping[str, str]]) -> None:
        self.group = [row["group"] for row in rows]
        self.abnormal = np.array([row["abnormal"] == "1" for row in rows])
        self.values = {
            name: np.array([float(row[name]) if row[name] else np.nan for row in rows])
            for name in (
                "before",
                "after",
                "dice_after",
                "identity",
                "inside",
                "outside",
                "anomaly",
            )
        }


def normality_table(scores: Sequence[NormalityScores], metric: str) -> Floats | None:
    """Values of patients (sorted) x subsets, or None where the metric is not defined, as without an abnormal image."""
    if not scores or not scores[0].abnormal.any():
        return None
    if metric == "anomaly_auroc":
        return _auroc(scores)
    if metric in ("healthiness", "harmonic"):
        statistic = _healthiness if metric == "healthiness" else _harmonic
        sums = np.stack([_sums(found) for found in scores], 1)
        plain = statistic(sums.sum(0))
        if not np.isfinite(plain).all():
            return None
        table = jackknife.pseudo_values_of_sums(statistic, sums)
        return np.asarray(table - table.mean(0) + plain) if np.isfinite(table).all() else None
    name = {"healthiness_dice": "dice_after"}.get(metric, metric)
    return np.stack([_means(found, name) for found in scores], 1)


def _by_patient(found: NormalityScores) -> list[NDArray[np.intp]]:
    """The abnormal cases of each patient that has some."""
    groups = np.array(found.group)
    names = sorted(set(groups[found.abnormal].tolist()))
    return [np.flatnonzero(found.abnormal & (groups == name)) for name in names]


def _means(found: NormalityScores, name: str) -> Floats:
    return np.array([found.values[name][cases].mean() for cases in _by_patient(found)])


def _sums(found: NormalityScores) -> Floats:
    """Of each patient (n, 4): lesion pixels left and found, sum of identities, abnormal images."""
    columns = [found.values[name] for name in ("after", "before", "identity")] + [
        np.ones(len(found.group))
    ]
    return np.array([[column[cases].sum() for column in columns] for cases in _by_patient(found)])


def _healthiness(sums: Floats) -> Floats:
    return pseudo_healthy.healthiness(sums[..., :2])


def _harmonic(sums: Floats) -> Floats:
    return pseudo_healthy.harmonic_mean(_healthiness(sums), sums[..., 2] / sums[..., 3])


def _auroc(scores: Sequence[NormalityScores]) -> Floats | None:
    first = scores[0]
    column = np.stack([found.values["anomaly"] for found in scores], 1)
    try:
        table = jackknife.auroc_pseudo_values(column, first.abnormal, first.group)
        plain = jackknife.auroc_pseudo_values(column, first.abnormal, ["all"] * len(first.group))
    except BenchError:
        return None
    return np.asarray(table - table.mean(0) + plain[0])


def ratio_of_change(found: NormalityScores) -> float | None:
    """Mean change inside lesions over that outside, of abnormal images; None where nothing changed outside."""
    inside, outside = (
        float(found.values[name][found.abnormal].mean()) for name in ("inside", "outside")
    )
    return inside / outside if outside > 0 else None
