"""The scores of all test cases by method: a stroke a case, the box around the middle half."""

from __future__ import annotations

from statistics import median
from typing import Any

from bench.board.schema import Board, CaseTable
from bench.names import method_label
from reports.draws import section_draws
from reports.figures import look
from reports.figures.cases import find_table
from reports.figures.figure import Figure, Spec, make_figure
from reports.figures.views import first_view, own_settings
from reports.page import tables
from reports.wording import full_name

MOST = 30  # methods of a budget
CAPTION = (
    "Each stroke is a test case: its score, averaged over {draws}. Box: interquartile range; thick "
    "stroke: median."
)
VIEW_FILTER = f"datum.labelled == labelled && {look.SETTINGS}"
ROW_HEIGHT, NARROW_ROW_HEIGHT = 34, 52  # px
STROKE_HEIGHT = 16
NAME_ABOVE = -18  # px from the strokes to the name, on narrow screens
NAMES_WIDTH, EDGE, TOP, BOTTOM = 230, 14, 34, 30


def section_figure(board: Board, task: str, dataset: str) -> Figure | None:
    """The figure of a section, under the conditions of the scatter of cases."""
    table = find_table(board, task, dataset)
    if table is None:
        return None
    values = list_series(board, table)
    spec = strips_spec(board, table, values)
    caption = CAPTION.format(draws=section_draws(board, task, dataset))
    return make_figure("case_strips", "All cases by method", caption, spec)


def list_series(board: Board, table: CaseTable) -> list[dict[str, Any]]:
    """The scores of each method at each budget, as far as they are defined."""
    values = []
    counts: dict[int, int] = {}
    for series in table.series:
        scores = []
        for value in series.values:
            if value is not None and tables.known(value):
                scores.append(float(f"{value:.3g}"))
        shown = counts.get(series.labelled, 0)
        if scores and shown < MOST:
            counts[series.labelled] = shown + 1
            strip = {
                "labelled": series.labelled,
                "settings": own_settings(series.variant),
                "name": full_name(board, series.method, series.variant),
                "id": method_label(series.method, series.variant),
                "median": float(f"{median(scores):.4g}"),
                "scores": scores,
            }
            values.append(strip)
    return values


# ---- Specification


def strips_spec(board: Board, table: CaseTable, values: list[dict[str, Any]]) -> Spec:
    """One line a method, highest median first; it follows budget and settings."""
    view = first_view(board, table.task, table.dataset)
    params = {"labelled": view.labelled, "settings": view.settings}
    spec = look.one_view(f"{table.metric} of each test case, one line a method", values, params)
    spec["transform"] = [{"filter": VIEW_FILTER}, {"flatten": ["scores"]}]
    names = {
        "title": None,
        "labelAlign": "left",
        "labelPadding": NAMES_WIDTH,
        "labelLimit": NAMES_WIDTH - 10,
        "labelFontSize": look.TEXT,
        "labelColor": look.INK,
    }
    title = f"{table.metric} of all cases"
    spec["title"] = {"text": title, "dx": -NAMES_WIDTH}
    spec["height"] = {"step": ROW_HEIGHT}
    spec["padding"] = {"left": NAMES_WIDTH, "right": EDGE, "top": TOP, "bottom": BOTTOM}
    spec["encoding"] = {"y": _method_scale(names)}
    spec["layer"] = _layers()
    edges = {"left": EDGE, "right": EDGE, "top": TOP + 10, "bottom": BOTTOM}
    narrow = {
        "title": {"text": title, "offset": 12},
        "height": {"step": NARROW_ROW_HEIGHT},
        "padding": edges,
        "encoding": {"y": _method_scale(None)},
        "layer": [*_layers(), _names_above()],
    }
    spec["usermeta"] = {"narrow": narrow}
    return spec


def _method_scale(axis: Spec | None) -> Spec:
    sort = {"field": "median", "op": "min", "order": "descending"}
    return {"field": "name", "type": "nominal", "sort": sort, "axis": axis}


def _layers() -> list[Spec]:
    axis = {"title": None, "tickCount": 5}
    x = {"field": "scores", "type": "quantitative", "axis": axis, "scale": {"zero": False}}
    tooltip = [
        {"field": "name", "title": "Method"},
        {"field": "id", "title": "Id"},
        {"aggregate": "q1", "field": "scores", "title": "Lower quartile", "format": ".3f"},
        {"aggregate": "median", "field": "scores", "title": "Median", "format": ".3f"},
        {"aggregate": "q3", "field": "scores", "title": "Upper quartile", "format": ".3f"},
    ]
    box = {
        "mark": {"type": "bar", "size": STROKE_HEIGHT + 4, "color": look.BLUE, "opacity": 0.2},
        "encoding": {"x": {**x, "aggregate": "q1"}, "x2": {"aggregate": "q3", "field": "scores"}},
    }
    box["encoding"]["tooltip"] = tooltip
    strokes = {
        "mark": {
            "type": "tick",
            "orient": "vertical",
            "size": STROKE_HEIGHT,
            "thickness": 1,
            "opacity": 0.7,
            "color": look.BLUE,
        },
        "encoding": {"x": x},
    }
    middle = {
        "mark": {
            "type": "tick",
            "orient": "vertical",
            "size": STROKE_HEIGHT + 8,
            "thickness": 3,
            "color": look.INK,
        },
        "encoding": {"x": {**x, "aggregate": "median"}},
    }
    return [box, strokes, middle]


def _names_above() -> Spec:
    style = {
        "type": "text",
        "align": "left",
        "baseline": "middle",
        "yOffset": NAME_ABOVE,
        "limit": 320,
    }
    once = [{"aggregate": [], "groupby": ["name", "median"]}]
    place = {"x": {"value": 0}, "text": {"field": "name"}}
    return {"transform": once, "mark": style, "encoding": place}
