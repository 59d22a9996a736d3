"""Whether probabilities mean what they say: Brier score and expected calibration error.

For one class of one case, where a suite keeps probabilities; the same for labels of whole images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.metrics.case_metric import CaseMetric, CasePair

Floats = NDArray[np.float64]
BINS = 15  # of equal width, as in Guo et al. 2017 (arXiv 1706.04599)


def brier_score(pair: CasePair) -> float:
    """Mean squared difference between the probability of a class and its presence, per pixel.

    Source: Brier 1950, doi 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    probability, present = _pixels(pair)
    return float(np.mean((probability - present) ** 2))


def calibration_error(pair: CasePair) -> float:
    """Expected calibration error of the probability of a class (Guo et al. 2017)."""
    probability, present = _pixels(pair)
    return float(error_of_sums(bin_sums(probability, present)))


def _pixels(pair: CasePair) -> tuple[Floats, Floats]:
    """The probability and the presence of a class in each pixel that counts.

    A prediction without probabilities says 0 and 1.
    """
    given = pair.guess if pair.probability is None else pair.probability
    kept = slice(None) if pair.counted is None else pair.counted
    return given[kept].ravel().astype(float), pair.truth[kept].ravel().astype(float)


def bin_numbers(probability: Floats) -> NDArray[np.intp]:
    """The bin that each probability lies in, 0 to BINS - 1."""
    return np.minimum((probability * BINS).astype(np.intp), BINS - 1)


def bin_sums(probability: Floats, happened: Floats) -> Floats:
    """By bin of probability: how many (N) there are, the sum of both, as (3, BINS)."""
    numbers = bin_numbers(probability)
    weights = (np.ones_like(probability), probability, happened)
    return np.stack([np.bincount(numbers, weight, BINS) for weight in weights])


def error_of_sums(sums: Floats) -> Floats:
    """The error from sums (... 3 BINS) -> (...): the mean over all of their bin's gap."""
    gaps = np.abs(sums[..., 1, :] - sums[..., 2, :]).sum(-1)
    return np.asarray(gaps / sums[..., 0, :].sum(-1))


METRICS = (
    CaseMetric(
        key="brier",
        title="Brier",
        better="lower",
        help="Mean over all pixels of the squared difference between the probability of a class "
        "and its presence; smaller where more of an image is background.",
        pairs="all",
        digits=4,
        worst=1.0,
        compute=brier_score,
    ),
    CaseMetric(
        key="ece",
        title="ECE",
        better="lower",
        help="Expected calibration error of the probability of a class, over 15 bins of the pixels "
        "of a case; smaller where more of an image is background.",
        pairs="all",
        digits=4,
        worst=1.0,
        compute=calibration_error,
    ),
)
