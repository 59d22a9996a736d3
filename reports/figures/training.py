"""The loss of one training of each method, by step."""

from __future__ import annotations

from typing import Any

from bench.board.schema import Board, TrainingCurve
from reports.draws import draw_label
from reports.figures import look
from reports.figures.figure import Figure, Spec, make_figure
from reports.wording import full_name

MOST = 24  # panels of a budget
CAPTION = (
    "What each method logged while its first draw was trained: the loss it minimises, or the first "
    "curve that it names. Dots are means over neighbouring steps. Losses of different methods are "
    "sums of different terms, so compare shapes, not heights: a curve that still falls at its end "
    "stands for a training that was cut short."
)


def section_figure(board: Board, task: str, dataset: str) -> Figure | None:
    """The figure of a section, a panel for each row; None where no training logged anything."""
    values = list_values(board, task, dataset)
    if not values:
        return None
    budgets = [value["labelled"] for value in values]
    return make_figure("training", "Training", CAPTION, training_spec(values, min(budgets)))


def list_values(board: Board, task: str, dataset: str) -> list[dict[str, Any]]:
    """The points of the curves of a section."""
    values = []
    counts: dict[int, int] = {}
    for curve in board.training:
        shown = counts.get(curve.labelled, 0)
        if (curve.task, curve.dataset) == (task, dataset) and shown < MOST:
            counts[curve.labelled] = shown + 1
            values += _points_of(board, curve)
    return values


def _points_of(board: Board, curve: TrainingCurve) -> list[dict[str, Any]]:
    values = []
    for step, height in curve.points:
        value = {
            "panel": full_name(board, curve.method, curve.variant),
            "labelled": curve.labelled,
            "draw": draw_label(board, curve.subset, curve.fraction),
            "curve": curve.name,
            "step": step,
            "value": float(f"{height:.4g}"),
        }
        values.append(value)
    return values


def training_spec(values: list[dict[str, Any]], labelled: int) -> Spec:
    """Panels that follow the signal `labelled`."""
    axis = {"title": None, "tickCount": 3, "grid": False}
    x = {"field": "step", "type": "quantitative", "axis": axis, "scale": {"nice": False}}
    y = {
        "field": "value",
        "type": "quantitative",
        "axis": {"title": None, "tickCount": 4},
        "scale": {"zero": True},
    }
    tooltip = [
        {"field": "panel", "title": "Method"},
        {"field": "draw", "title": "Trained on"},
        {"field": "curve", "title": "Curve"},
        {"field": "step", "title": "Step"},
        {"field": "value", "title": "Value"},
    ]
    line = {"mark": {"type": "line", "color": look.BLUE}, "encoding": {"x": x, "y": y}}
    dots = {
        "mark": {"type": "circle", "size": 24, "opacity": 1, "color": look.BLUE},
        "encoding": {"x": x, "y": y, "tooltip": tooltip},
    }
    title = "Loss vs training step"
    spec = look.small_multiples(title, values, {"labelled": labelled}, {"layer": [line, dots]})
    spec["title"]["text"] = title
    spec["transform"] = [{"filter": "datum.labelled == labelled"}]
    spec["facet"] = look.facet(None)
    spec["resolve"]["scale"] = {"y": "independent"}
    return spec
