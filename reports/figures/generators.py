"""The distance of a generator to its training images while it is trained."""

from __future__ import annotations

from typing import Any

from bench.board.schema import Board, SyntheticImages
from reports.draws import draw_label
from reports.figures import look
from reports.figures.figure import Figure, Spec, make_figure
from reports.wording import full_name

MOST = 24  # panels
CAPTION = (
    "Fréchet distance of the generated images to the training images, in the features of the "
    "copy test, by the number of images shown to the generator. Lower is better; one line a "
    "generator. One whose last quarter brings more than 5% of its whole fall had not converged."
)


def section_figure(board: Board, task: str, dataset: str) -> Figure | None:
    """The figure of a section; None where no generator was followed."""
    values = list_values(board, task, dataset)
    if not values:
        return None
    budgets = [value["labelled"] for value in values]
    return make_figure(
        "generators", "Training of the generators", CAPTION, generator_spec(values, min(budgets))
    )


def list_values(board: Board, task: str, dataset: str) -> list[dict[str, Any]]:
    """The points of each curve once: runs may share a generator."""
    values = []
    seen = set()
    for item in board.synthetic:
        if (item.task, item.dataset) != (task, dataset):
            continue
        for number, curve in enumerate(item.curves):
            key = repr((item.method, item.variant, curve))
            if curve.points and key not in seen:
                seen.add(key)
                values += _points_of(board, item, number)
    panels = list(dict.fromkeys(value["panel"] for value in values))[:MOST]
    return [value for value in values if value["panel"] in panels]


def _points_of(board: Board, item: SyntheticImages, number: int) -> list[dict[str, Any]]:
    curve = item.curves[number]
    line = draw_label(board, item.subset, item.fraction)
    if curve.label:
        line = f"{line}, {curve.label}"
    if curve.still_falls:
        line = f"{line}, not converged"
    values = []
    for point in curve.points:
        value = {
            "panel": full_name(board, item.method, item.variant),
            "labelled": item.labelled,
            "line": line,
            "thousands": point.shown / 1000,
            "distance": float(f"{point.distance:.4g}"),
        }
        values.append(value)
    return values


def generator_spec(values: list[dict[str, Any]], labelled: int) -> Spec:
    """Panels that follow the signal `labelled`."""
    axis = {"title": None, "tickCount": 4, "grid": False}
    x = {"field": "thousands", "type": "quantitative", "axis": axis}
    y = {
        "field": "distance",
        "type": "quantitative",
        "axis": {"title": None, "tickCount": 4},
    }
    tooltip = [
        {"field": "panel", "title": "Generator"},
        {"field": "line", "title": "First used in"},
        {"field": "thousands", "title": "Thousand images"},
        {"field": "distance", "title": "Distance"},
    ]
    place = {"x": x, "y": y, "detail": {"field": "line"}}
    line = {
        "mark": {"type": "line", "color": look.BLUE, "opacity": 0.8},
        "encoding": place,
    }
    dots = {
        "mark": {"type": "circle", "size": 40, "opacity": 1, "color": look.BLUE},
        "encoding": {**place, "tooltip": tooltip},
    }
    params = {"labelled": labelled}
    title = "Distance vs thousand images shown"
    spec = look.small_multiples(title, values, params, {"layer": [line, dots]})
    spec["title"]["text"] = title
    spec["transform"] = [{"filter": "datum.labelled == labelled"}]
    spec["facet"] = look.facet(None)
    return spec
