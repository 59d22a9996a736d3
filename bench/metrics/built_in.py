"""All per-case metrics: those that come with the harness, then those of plug-ins."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import BenchError
from bench.metrics import calibration, overlap, surface
from bench.metrics.case_metric import CaseMetric


def case_metrics(
    extra: Sequence[CaseMetric] = (), of_probabilities: bool = False
) -> tuple[CaseMetric, ...]:
    """The per-case metrics in the order of the leaderboard, `extra` ones of plug-ins last.

    Those `of_probabilities` are of suites that keep them. Raises BenchError where two have one key.
    """
    metrics: tuple[CaseMetric, ...] = (*overlap.METRICS, *surface.METRICS)
    if of_probabilities:
        metrics = (*metrics, *calibration.METRICS)
    metrics = (*metrics, *extra)
    keys: set[str] = set()
    for metric in metrics:
        if metric.key in keys:
            raise BenchError(f"metric {metric.key!r} given twice; rename one of the two")
        keys.add(metric.key)
    return metrics


BUILT_IN = case_metrics()
