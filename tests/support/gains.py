"""Boards whose gains are chosen by hand."""

from __future__ import annotations

from typing import Any

from bench.board.columns import COLUMNS
from bench.board.schema import Board, MetricGain, SuiteFacts
from bench.planning.plan_file import MethodCard
from tests.support.boards import dataset_facts

TITLES = {
    "supervised": "Supervised",
    "mean_teacher": "Mean teacher",
    "smile": "SMILE (reconstructed)",
    "ss_net": "SS-Net",
    "singan_seg": "SinGAN-Seg",
    "sgrs_net": "SGRS-Net",
    "ssgnet": "SSGNet",
}
# method -> gain, half-width of the adjusted interval, draws
GAINS: dict[str, tuple[float, float | None, list[float]]] = {
    "mean_teacher": (-0.06, 0.22, [-0.09, -0.03]),
    "smile": (-0.15, 0.22, [-0.175, -0.13]),
    "ss_net": (-0.18, 0.30, [-0.355, -0.005]),
    "singan_seg": (-0.19, 0.22, [-0.22, -0.17]),
    "sgrs_net": (0.28, 0.22, [0.283, 0.285]),
    "ssgnet": (-0.42, 0.26, [-0.54, -0.295]),
}


def make_gain(
    method: str,
    mean: float,
    half_width: float | None,
    draws: list[float],
    **changes: Any,
) -> MetricGain:
    """A gain in Dice with 4 of 40 patients; the verdict follows from the adjusted interval."""
    fields: dict[str, Any] = {
        "task": "segmentation",
        "dataset": "d",
        "labelled": 4,
        "fraction": 0.1,
        "method": method,
        "variant": "default",
        "metric": "dice",
        "against": "default",
        "mean": mean,
        "lo": None,
        "hi": None,
        "adjusted_lo": None,
        "adjusted_hi": None,
        "p": None,
        "verdict": None,
        "subsets": list(range(len(draws))),
        "draws": draws,
    }
    if half_width is not None:
        fields["lo"] = mean - half_width / 2
        fields["hi"] = mean + half_width / 2
        fields["adjusted_lo"] = mean - half_width
        fields["adjusted_hi"] = mean + half_width
        fields["verdict"] = "not resolved"
        if abs(mean) > half_width:
            fields["verdict"] = "better" if mean > 0 else "worse"
    return MetricGain(**{**fields, **changes})


def seven_methods() -> list[MetricGain]:
    """Two budgets, default and tuned, two metrics; at 8 patients nothing is tested."""
    gains = []
    for method, (mean, half_width, draws) in GAINS.items():
        gains.append(make_gain(method, mean, half_width, draws))
        tuned = [draw + 0.1 for draw in draws]
        gains.append(make_gain(method, mean + 0.1, half_width, tuned, variant="tuned"))
        few = {"labelled": 8, "fraction": 0.2}
        gains.append(make_gain(method, mean / 2, None, [mean / 2], **few))
        pixels = [40 * draw for draw in draws]
        width = 40 * (half_width or 0)
        gains.append(make_gain(method, 40 * mean, width, pixels, metric="hd95"))
    return gains


def method_card(title: str) -> MethodCard:
    """What the page shows of a method."""
    return MethodCard(
        title=title,
        role="learner",
        family="semi-supervised",
        paper="",
        year=2020,
        summary="",
        verified={},
        deviations={},
    )


def make_board(gains: list[MetricGain], **changes: Any) -> Board:
    """A board of one data set, `d`."""
    fields: dict[str, Any] = {
        "suite": SuiteFacts(name="t", title="Toy", description="", tasks=["segmentation"]),
        "rows": [],
        "points": [],
        "datasets": {"d": dataset_facts()},
        "protocol": {},
        "cells": [],
        "overlays": [],
        "provenance": {},
        "methods": {name: method_card(title) for name, title in TITLES.items()},
        "gains": gains,
        "columns": [column.facts for column in COLUMNS],
    }
    return Board(**{**fields, **changes})
