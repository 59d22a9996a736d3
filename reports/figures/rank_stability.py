"""How often each method is first, second and so on, as stacked bars."""

from __future__ import annotations

from typing import Any

from bench.board.schema import Board, RankShares
from bench.names import method_label
from reports.figures import look
from reports.figures.figure import Figure, Spec, make_figure
from reports.figures.views import first_view, own_settings
from reports.page import tables
from reports.wording import full_name

MOST = 30  # methods of a budget
LEAST_SHARE = 0.0005  # smaller ones cannot be seen
CAPTION = (
    "Share of simulated sets of true means in which a method ranks first (darkest), second "
    "and so on, among all methods and settings of this budget."
)
VIEW_FILTER = f"datum.labelled == labelled && datum.metric == metric && {look.SETTINGS}"
ROW_HEIGHT, NARROW_ROW_HEIGHT = 30, 48  # px
BAR_HEIGHT = 16
NAME_ABOVE = -19  # px from the bar to its name, on narrow screens
NAMES_WIDTH, WORDS_WIDTH = 240, 120
BOTTOM, TOP, NARROW_EDGE = 30, 34, 14
STRENGTH = "1 - 0.88 * (datum.rank - 1) / max(1, datum.methods - 1)"


def section_figure(board: Board, task: str, dataset: str) -> Figure | None:
    """The figure of a section; None where no ranks were simulated."""
    values = list_shares(board, task, dataset)
    if not values:
        return None
    spec = stability_spec(board, task, dataset, values)
    return make_figure("rank_stability", "Rank stability", CAPTION, spec)


def list_shares(board: Board, task: str, dataset: str) -> list[dict[str, Any]]:
    """One value for each rank that a method takes at a budget; the best methods of very many."""
    values = []
    counts: dict[tuple[int, str], int] = {}
    for item in board.stability:
        ranking = (item.labelled, item.metric)
        shown = counts.get(ranking, 0)
        if (item.task, item.dataset) == (task, dataset) and item.shares and shown < MOST:
            counts[ranking] = shown + 1
            values += _shares_of(board, item, order=shown)
    return values


def _shares_of(board: Board, item: RankShares, order: int) -> list[dict[str, Any]]:
    first = tables.percent(round(item.shares[0], 3))
    values: list[dict[str, Any]] = []
    for rank, share in enumerate(item.shares, 1):
        if share >= LEAST_SHARE:
            value = {
                "labelled": item.labelled,
                "metric": item.metric,
                "settings": own_settings(item.variant),
                "name": full_name(board, item.method, item.variant),
                "id": method_label(item.method, item.variant),
                "order": order,
                "methods": item.methods,
                "rank": rank,
                "share": round(share, 4),
                "first": f"first in {first}",
                "starts": not values,  # the first value of a method carries its words
            }
            values.append(value)
    return values


# ---- Specification


def stability_spec(board: Board, task: str, dataset: str, values: list[dict[str, Any]]) -> Spec:
    """Stacked bars, best method first, that follow budget and settings."""
    view = first_view(board, task, dataset)
    params = {"labelled": view.labelled, "settings": view.settings, "metric": view.metric}
    spec = look.one_view("Shares of ranks, one bar a method", values, params)
    spec["transform"] = [{"filter": VIEW_FILTER}]
    names = {
        "title": None,
        "labelAlign": "left",
        "labelPadding": NAMES_WIDTH,
        "labelLimit": NAMES_WIDTH - 10,
        "labelFontSize": look.TEXT,
        "labelColor": look.INK,
    }
    beside = {"x": {"value": {"expr": "width + 12"}}}
    spec["title"] = {"text": "Rank stability", "dx": -NAMES_WIDTH}
    spec["height"] = {"step": ROW_HEIGHT}
    spec["padding"] = {"left": NAMES_WIDTH, "right": WORDS_WIDTH, "top": TOP, "bottom": BOTTOM}
    spec["encoding"] = {"y": _method_scale(names)}
    spec["layer"] = [_bars(), _words("first", "left", beside)]
    spec["usermeta"] = {"narrow": _narrow_parts()}
    return spec


def _narrow_parts() -> Spec:
    left = {"x": {"value": 0}}
    right = {"x": {"value": {"expr": "width"}}}
    edges = {"left": NARROW_EDGE, "right": NARROW_EDGE, "top": TOP + 8, "bottom": BOTTOM}
    return {
        "title": {"text": "Rank stability", "offset": 8},
        "height": {"step": NARROW_ROW_HEIGHT},
        "padding": edges,
        "encoding": {"y": _method_scale(None)},
        "layer": [
            _bars(),
            _words("name", "left", left, yOffset=NAME_ABOVE, limit=210),
            _words("first", "right", right, yOffset=NAME_ABOVE),
        ],
    }


def _method_scale(axis: Spec | None) -> Spec:
    sort = {"field": "order", "op": "min", "order": "ascending"}
    return {"field": "name", "type": "nominal", "sort": sort, "axis": axis}


def _bars() -> Spec:
    axis = {"title": None, "format": "%", "tickCount": 4, "grid": False}
    share = {"field": "share", "type": "quantitative", "stack": "zero", "axis": axis}
    tooltip = [
        {"field": "name", "title": "Method"},
        {"field": "id", "title": "Id"},
        {"field": "rank", "title": "Rank"},
        {"field": "share", "title": "Share", "type": "quantitative", "format": ".1%"},
    ]
    return {
        "mark": {"type": "bar", "size": BAR_HEIGHT, "color": look.BLUE, "stroke": look.PAPER},
        "encoding": {
            "x": {**share, "scale": {"domain": [0, 1]}},
            "order": {"field": "rank", "type": "quantitative"},
            "detail": {"field": "rank"},
            "opacity": {"value": {"expr": STRENGTH}},
            "tooltip": tooltip,
        },
    }


def _words(field: str, align: str, place: Spec, **mark: Any) -> Spec:
    """A text once a row."""
    style = {"type": "text", "align": align, "baseline": "middle", **mark}
    once = [{"filter": "datum.starts"}]
    return {"transform": once, "mark": style, "encoding": {**place, "text": {"field": field}}}
