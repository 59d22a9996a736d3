"""Score tables of pseudo-healthy images, and the numbers of each patient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import BenchError
from bench.metrics import pseudo_healthy
from bench.scoring.tables import Floats, centred, centred_auroc
from bench.stats import jackknife

if TYPE_CHECKING:
    import pandas as pd  # imported where it is used: it takes longer to import than most commands


PSEUDO_HEALTHY_FIELDS = (
    "case",
    "group",
    "abnormal",
    "area",
    "before",
    "after",
    "dice_after",
    "identity",
    "anomaly",
)
PSEUDO_HEALTHY_NUMBERS = PSEUDO_HEALTHY_FIELDS[4:]


class PseudoHealthyScores:
    """The scores of the pseudo-healthy images of one cell, as a data frame."""

    def __init__(self, rows: Sequence[Mapping[str, str]]) -> None:
        import pandas as pd

        self.group = [row["group"] for row in rows]
        self.abnormal = np.array([row["abnormal"] == "1" for row in rows], dtype=bool)
        frame = pd.DataFrame(rows, columns=PSEUDO_HEALTHY_NUMBERS)
        self.values = frame.replace("", np.nan).astype(float)

    def of_abnormal(self) -> pd.api.typing.DataFrameGroupBy[Any, Any]:
        """The values of images with a lesion by patient, sorted."""
        groups = np.array(self.group, dtype=object)[self.abnormal]
        return self.values[self.abnormal].groupby(groups, sort=True)


def pseudo_healthy_matrix(scores: Sequence[PseudoHealthyScores], metric: str) -> Floats | None:
    """Patients (sorted) x draws; None where undefined, as without an image with a lesion.

    Ratios of sums and AUROC give pseudo-values (R4.2c).
    """
    if not scores or not scores[0].abnormal.any():
        return None
    if metric == "anomaly_auroc":
        return _anomaly_matrix(scores)
    if metric in RATIOS:
        return _ratio_matrix(scores, RATIOS[metric])
    column = "dice_after" if metric == "healthiness_dice" else metric
    means = [draw.of_abnormal()[column].mean().to_numpy() for draw in scores]
    return np.stack(means, 1)


def _anomaly_matrix(scores: Sequence[PseudoHealthyScores]) -> Floats | None:
    first = scores[0]
    changes = np.stack([draw.values["anomaly"].to_numpy() for draw in scores], 1)
    try:
        return centred_auroc(changes, first.abnormal, first.group)
    except BenchError:
        return None


def _ratio_matrix(
    scores: Sequence[PseudoHealthyScores], statistic: Callable[[Floats], Floats]
) -> Floats | None:
    """Pseudo-values of a statistic of sums over patients; None where it is not finite."""
    sums = np.stack([_sums_of_patients(draw) for draw in scores], 1)
    plain = statistic(sums.sum(0))
    if not np.isfinite(plain).all():
        return None
    matrix = jackknife.pseudo_values_of_sums(statistic, sums)
    return centred(matrix, plain) if np.isfinite(matrix).all() else None


def _sums_of_patients(scores: PseudoHealthyScores) -> Floats:
    """Patients x 4: lesion pixels left and seen before, sum of identities, images with a lesion."""
    patients = scores.of_abnormal()
    sums = patients[["after", "before", "identity"]].sum().to_numpy()
    return np.column_stack([sums, patients.size().to_numpy(float)])


def _healthiness(sums: Floats) -> Floats:
    return pseudo_healthy.healthiness(sums[..., :2])


def _harmonic_mean(sums: Floats) -> Floats:
    return pseudo_healthy.harmonic_mean(_healthiness(sums), sums[..., 2] / sums[..., 3])


RATIOS = {"healthiness": _healthiness, "harmonic": _harmonic_mean}
