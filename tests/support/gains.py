"""Boards whose gains are chosen by hand."""

from __future__ import annotations

from typing import Any

from bench.board.columns import COLUMNS
from bench.board.schema import (
    Board,
    BoardCell,
    CaseSeries,
    CaseTable,
    MethodRanks,
    MetricGain,
    Point,
    RankShares,
    Row,
    RowCost,
    RuleOrdering,
    RuleRank,
    StudyHistory,
    SuiteFacts,
    SyntheticImages,
    TrainingCurve,
    TrialPoint,
)
from bench.cell_records import CurvePoint, GeneratorCurve
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


def make_cell(method: str, key: str, **changes: Any) -> BoardCell:
    """A finished run at the low budget; fields may be changed."""
    fields: dict[str, Any] = {
        "key": key,
        "task": "segmentation",
        "dataset": "d",
        "fraction": 0.1,
        "labelled": 4,
        "subset": 0,
        "method": method,
        "variant": "default",
        "steps": 100,
        "status": "ok",
    }
    return BoardCell(**{**fields, **changes})


# Dice of the reference by labelled patients; that of a method is this plus its gain, which
# shrinks as labels grow.
REFERENCE = {4: 0.55, 8: 0.68, 40: 0.84}


def make_row(method: str, labelled: int, mean: float, **changes: Any) -> Row:
    """The mean of a method in Dice, of two draws."""
    fields: dict[str, Any] = {
        "task": "segmentation",
        "dataset": "d",
        "fraction": labelled / 40,
        "labelled": labelled,
        "method": method,
        "variant": "default",
        "metric": "dice",
        "mean": mean,
        "lo": None,
        "hi": None,
        "interval": "few draws",
        "n_cases": 30,
        "n_groups": 20,
        "n_subsets": 2,
        "rank_lo": None,
        "rank_hi": None,
        "tie_group": None,
        "status": "ok",
        "reason": None,
    }
    return Row(**{**fields, **changes})


def make_points(row: Row, spread: float) -> list[Point]:
    """Two draws around the mean of a row."""
    place = (row.task, row.dataset, row.fraction, row.labelled)
    named = (row.method, row.variant, row.metric)
    mean = row.mean or 0.0
    return [
        Point(*place, *named, subset=0, mean=mean - spread),
        Point(*place, *named, subset=1, mean=mean + spread),
    ]


def make_cost(row: Row, seconds: float) -> RowCost:
    """What the cells of a row took."""
    return RowCost(
        task=row.task,
        dataset=row.dataset,
        fraction=row.fraction,
        labelled=row.labelled,
        method=row.method,
        variant=row.variant,
        train_seconds=seconds,
        part_seconds=seconds / 10,
        segmenter_steps=100,
        peak_memory_mb=900.0,
        parameters=1e6,
        inference_ms=3.0,
        tune_seconds=None,
    )


def rank_shares() -> list[RankShares]:
    """How often each of seven methods is first, second and so on, with 4 patients."""
    shares = []
    for number, method in enumerate(TITLES):
        weights = [1 / (1 + abs(rank - number)) ** 2 for rank in range(len(TITLES))]
        normed = [weight / sum(weights) for weight in weights]
        place = ("segmentation", "d", 4, 0.1, method, "default")
        shares.append(RankShares(*place, methods=len(TITLES), shares=normed))
    return shares


def rule_ordering() -> RuleOrdering:
    """Seven methods in the order of their names here; the last two change places by rule."""
    methods = []
    for number, method in enumerate(TITLES, 1):
        swapped = {6: 7, 7: 6}.get(number, number)
        rules = {
            "mean": RuleRank(1 / number, number),
            "mean_rank": RuleRank(float(swapped), swapped),
            "worst_case": RuleRank(0.5 / number, number),
        }
        methods.append(MethodRanks("segmentation", "d", 4, 0.1, method, "default", rules))
    return RuleOrdering("segmentation", "d", 4, 0.1, methods, [])


def study(method: str, subset: int | None) -> StudyHistory:
    """Six trials, of which the third fails."""
    trials = []
    best = 0.0
    for number, value in enumerate((0.61, 0.58, None, 0.66, 0.64, 0.7)):
        best = max(best, value or 0.0)
        state = "failed" if value is None else "done"
        trials.append(TrialPoint(number, {"rate": number}, state, value, None, best))
    return StudyHistory(
        id=f"{method}{subset}",
        task="segmentation",
        dataset="d",
        labelled=4,
        fraction=0.1,
        method=method,
        subset=subset,
        draw=0,
        folds=2,
        prune=False,
        defaults={},
        changes={"rate": [0, 1, 2]},
        asked=6,
        trials=trials,
        winner=5,
        noise=0.03,
        best_of=0.04,
    )


def generator(subset: int, distances: list[float]) -> SyntheticImages:
    """Images of a generator whose training was followed."""
    points = []
    for number, distance in enumerate(distances, 1):
        points.append(CurvePoint(shown=4000 * number, distance=distance, n=48))
    return SyntheticImages(
        task="segmentation",
        dataset="d",
        labelled=4,
        fraction=0.1,
        method="ssgnet",
        variant="default",
        subset=subset,
        n=48,
        made=100,
        real=48,
        curves=[GeneratorCurve(None, points)],
    )


def case_table() -> CaseTable:
    """Three series over 24 cases; the last case has no score."""
    cases = [f"case_{number}" for number in range(24)]
    series = []
    for method, shift in (("supervised", 0.0), ("mean_teacher", 0.05), ("ss_net", -0.1)):
        values: list[float | None] = []
        for number in range(23):
            values.append(0.3 + shift + 0.6 * (number * 7 % 23) / 23)
        values.append(None)
        series.append(CaseSeries(4, 0.1, method, "default", 2, values))
    return CaseTable("segmentation", "d", "Dice", cases, series)


def training_curve(method: str, labelled: int) -> TrainingCurve:
    """A loss that falls over 100 steps."""
    points = [(step, 1.0 / (1 + step)) for step in range(0, 100, 10)]
    return TrainingCurve(
        task="segmentation",
        dataset="d",
        labelled=labelled,
        fraction=labelled / 40,
        method=method,
        variant="default",
        subset=0,
        name="loss",
        points=points,
    )


def full_board(**changes: Any) -> Board:
    """Everything that figures show, of seven methods at 4, 8 and 40 patients."""
    rows = []
    points = []
    cost = []
    for labelled, reference in REFERENCE.items():
        for number, method in enumerate(TITLES):
            gain = 0.0 if method == "supervised" else GAINS[method][0] * 4 / labelled
            row = make_row(method, labelled, reference + gain)
            rows.append(row)
            points += make_points(row, 0.12 / labelled)
            cost.append(make_cost(row, 9.0 + 40 * number**2))
    parts = {
        "rows": rows,
        "points": points,
        "cost": cost,
        "stability": rank_shares(),
        "orderings": [rule_ordering()],
        "tuning": [study("mean_teacher", 0), study("ss_net", 0), study("ss_net", 1)],
        "synthetic": [generator(0, [9.0, 5.0, 4.0]), generator(1, [8.0, 6.0, 4.5])],
        "cases": [case_table()],
        "training": [training_curve("supervised", 4), training_curve("ss_net", 4)],
    }
    return make_board(seven_methods(), **{**parts, **changes})
