"""HD95, ASD and NSD of two masks from one pass over their borders; see `surface_metrics`.

HD95 and ASD have the values of medpy (`hd95`, `asd`).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.metrics.borders import checked_spacing
from bench.metrics.case_metric import CaseMetric, CasePair

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_SLACK = 1e-9  # three steps of 0.1 mm count as within 0.3 mm, in spite of rounding


class SurfaceMetrics(NamedTuple):
    """Distances in mm, or in pixels without a spacing; `nsd` is a share in [0, 1]."""

    hd95: float
    asd: float
    nsd: float


def surface_metrics(
    pred: Mask, ref: Mask, spacing: tuple[float, ...] | None, tolerance: float
) -> SurfaceMetrics:
    """HD95, ASD and NSD of two boolean masks of one shape, 2D or 3D.

    hd95: 95th percentile (linear between order statistics) of the distances from each border voxel
    to the other border, of both directions together. asd: mean distance from the prediction's
    border to the reference's, so it is not symmetric. nsd: share of the border voxels of both
    masks that lie within `tolerance` of the other border (after Nikolov et al. 2021, doi
    10.2196/26151, who weight voxels by their surface; here each counts the same). Borders are
    those of `border`.

    `spacing` is in mm per axis; with None, distances and `tolerance` are in pixels. An empty
    prediction gets hd95 = asd = `image_diagonal` and nsd = 0. A ValueError for an empty reference
    (the caller leaves such pairs out), and for masks or a spacing that do not fit.
    """
    steps = checked_spacing(pred, ref, spacing)
    if not ref.any():
        raise ValueError("the reference is empty, which has no border; leave this pair out")
    pair = CasePair(pred, ref, steps, tolerance)
    return SurfaceMetrics(hd95(pair), asd(pair), nsd(pair))


def image_diagonal(shape: tuple[int, ...], spacing: tuple[float, ...] | None) -> float:
    """sqrt(sum((n_i * s_i)^2)) of n_i voxels of s_i mm on axis i; without spacing, in pixels."""
    steps = (1.0,) * len(shape) if spacing is None else spacing
    return math.hypot(*(n * s for n, s in zip(shape, steps, strict=True)))


def hd95(pair: CasePair) -> float:
    """95th percentile of the distances of both directions; the diagonal without a prediction."""
    if not pair.guess.any():
        return pair_diagonal(pair)
    return float(np.percentile(np.concatenate(pair.borders), 95))


def asd(pair: CasePair) -> float:
    """Mean distance from the predicted to the true border; the diagonal without a prediction."""
    if not pair.guess.any():
        return pair_diagonal(pair)
    return float(pair.borders.to_truth.mean())


def nsd(pair: CasePair) -> float:
    """Share of the border voxels of both masks within the tolerance of the other border."""
    if not pair.guess.any():
        return 0.0
    return float(np.mean(np.concatenate(pair.borders) <= pair.tolerance + _SLACK))


def pair_diagonal(pair: CasePair) -> float:
    """The longest distance that the image has room for: the worst HD95 and ASD."""
    return image_diagonal(pair.truth.shape, pair.spacing)


METRICS = (
    CaseMetric(
        key="nsd",
        title="NSD",
        better="higher",
        help="Share of the border pixels of both masks that lie within the stated tolerance of the "
        "other border, each counting the same, as MONAI has it; where surfaces are weighted by "
        "area, as in DeepMind's surface-distance, values differ (by up to 0.09).",
        pairs="reference",
        digits=3,
        worst=0.0,
        compute=nsd,
    ),
    CaseMetric(
        key="hd95",
        title="HD95",
        better="lower",
        help="95th percentile of the distances of border pixels to the other border, of both "
        "directions together, as medpy has it; MONAI and surface-distance give the larger of the "
        "percentiles of each direction.",
        pairs="reference",
        digits=1,
        worst=pair_diagonal,
        compute=hd95,
    ),
    CaseMetric(
        key="asd",
        title="ASD",
        better="lower",
        help="Mean distance from the predicted border to the reference border.",
        pairs="reference",
        digits=2,
        worst=pair_diagonal,
        compute=asd,
    ),
)
