"""What a run of MLflow holds: params and metrics of cells and trials."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench.cell_folder import CellFolder
from bench.cell_records import unusable_curves
from bench.files.records import plain_data
from bench.metrics.case_metric import CaseMetric
from bench.planning.cells import PlannedCell
from bench.scoring.tables import LABEL_METRICS, mean_of, read_scores
from bench.tuning.study_folder import Trial

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param

LONGEST_NAME = 240
LONGEST_PARAM = 6000  # characters


def cell_params(cell: PlannedCell) -> list[Param]:
    """All that the plan says of a cell; nested names are joined by dots."""
    content = plain_data(cell)
    del content["refusal"]  # there is none, or the cell would not be finished
    return nested_params(content)


def nested_params(content: Mapping[str, Any], prefix: str = "") -> list[Param]:
    """Settings as params of MLflow; nested names are joined by dots."""
    from mlflow.entities import Param

    params = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            params += nested_params(value, f"{prefix}{name}.")
        else:
            params.append(Param(clean_name(f"{prefix}{name}"), str(value)[:LONGEST_PARAM]))
    return params


def trial_metrics(trial: Trial) -> list[Metric]:
    """Cost and value of a trial, and its running mean by fold."""
    from mlflow.entities import Metric

    points = [Metric("seconds", trial.seconds, 0, 0)]
    if trial.value is not None:
        points.append(Metric("value", trial.value, 0, 0))
    for fold, mean in enumerate(trial.after_folds):
        if mean is not None:
            points.append(Metric("after_fold", mean, 0, fold))
    return points


def cell_metrics(
    folder: CellFolder, task: str, metrics: tuple[CaseMetric, ...], time_ms: int
) -> list[Metric]:
    """Cost, the mean of each score over the patients, and the curves of the training.

    `fd_while_training` is the Fréchet distance of a generator while it was trained; its step is
    the number of images shown to it. Curves that are none are left out; see `unusable_curves`.
    """
    from mlflow.entities import Metric

    final = {**_costs(folder), **_mean_scores(folder, task, metrics)}
    points = [Metric(name, value, time_ms, 0) for name, value in final.items()]
    taken = set(final)
    history = folder.read_history()
    left_out = unusable_curves(history)
    for name, curve in history.items():
        if name in left_out:
            continue
        free = free_name(name, taken)
        taken.add(free)
        points += [Metric(free, value, time_ms, step) for step, value in curve]
    judgement = folder.read_judgement()
    for distances in judgement.curves if judgement else ():
        name = "fd_while_training"
        if distances.label:
            name = f"{name}/{distances.label}"
        free = free_name(name, taken)
        taken.add(free)
        for point in distances.points:
            points.append(Metric(free, point.distance, time_ms, point.shown))
    return points


def free_name(name: str, taken: Collection[str]) -> str:
    """A clean name that is not taken.

    A method may well log a `dice` of its own, or names that differ in unusual signs alone.
    """
    cleaned = clean_name(name)
    if cleaned not in taken:
        return cleaned
    cleaned = f"step/{cleaned}"
    free = cleaned
    number = 2
    while free in taken:
        free = f"{cleaned}_{number}"
        number += 1
    return free


def clean_name(name: str) -> str:
    """A name that MLflow takes: letters, digits, _ - . : / and spaces; each other sign as _."""
    cleaned = re.sub(r"[^\w\-. :/]", "_", name)[:LONGEST_NAME]
    parts = [part for part in cleaned.split("/") if part.strip(" .")]
    return "/".join(parts) or "_"


def _costs(folder: CellFolder) -> dict[str, float]:
    result = folder.read_result()
    return asdict(result.cost) if result and result.cost else {}


def _mean_scores(
    folder: CellFolder, task: str, metrics: tuple[CaseMetric, ...]
) -> dict[str, float]:
    """The mean over the patients of each score that is defined."""
    file = folder.scores("last")
    if not file.exists():
        return {}
    scores = read_scores(file, task, metrics)
    names = LABEL_METRICS
    if task == "segmentation":
        names = tuple(metric.key for metric in metrics)
    means = {name: mean_of(scores, name) for name in names}
    return {name: mean for name, mean in means.items() if mean is not None}
