"""Score against labelled patients: a panel for each method, the reference in grey behind it."""

from __future__ import annotations

from typing import NamedTuple

from bench.board.schema import Board, Row
from bench.names import DEFAULT, method_label
from reports.draws import section_draws, single_means
from reports.figures import look
from reports.figures.figure import Figure, Spec, make_figure
from reports.figures.views import compared_rows, first_view, own_settings
from reports.page import tables
from reports.wording import full_name, reference_words

MOST = 24  # panels
VIEW_FILTER = f"datum.metric == metric && {look.SETTINGS}"
METRIC_FILTER = "datum.metric == metric"


class CurvePoint(NamedTuple):
    """A method at a budget."""

    panel: str
    id: str
    settings: str
    metric: str
    labelled: int
    mean: float
    draws: list[float]
    low: float  # lowest and highest draw
    high: float


def section_figure(board: Board, task: str, dataset: str) -> Figure | None:
    """The figure of a section; None without a method at two budgets or more."""
    points, reference = list_points(board, task, dataset)
    shown = _shown_panels(points)
    if not shown:
        return None
    kept = [point for point in points if point.panel in shown]
    spec = curve_spec(board, task, dataset, kept, reference)
    card = board.datasets[dataset]
    units = tables.plural(tables.short_unit(card), 2)
    caption = (
        f"Colour: the method, with its mean as a line. Small dots, each: "
        f"{single_means(board, task, dataset)}. Grey: {reference_words(board)}, with the range of "
        f"its {section_draws(board, task, dataset)}. "
        f"Dashed: {reference_words(board)} with all labels. Logarithmic label axis."
    )
    methods = len({point.panel for point in points})
    if len(shown) < methods:
        caption += f" The {len(shown)} best of {methods:,} methods with several budgets are shown."
    return make_figure("label_curve", f"Score vs labelled {units}", caption, spec)


def list_points(board: Board, task: str, dataset: str) -> tuple[list[CurvePoint], list[CurvePoint]]:
    """The points of the methods, and those of the reference with default settings."""
    methods: list[CurvePoint] = []
    reference: list[CurvePoint] = []
    for row in compared_rows(board, task, dataset):
        point = _make_point(board, row)
        is_reference = row.method == board.suite.reference and row.variant == DEFAULT
        chosen = reference if is_reference else methods
        chosen.append(point)
    return methods, reference


def _make_point(board: Board, row: Row) -> CurvePoint:
    mean = _rounded(float(row.mean or 0.0))
    # A number without known draws stands for its only one.
    draws = [_rounded(draw) for draw in tables.subset_means(board, row)] or [mean]
    return CurvePoint(
        panel=full_name(board, row.method, row.variant),
        id=method_label(row.method, row.variant),
        settings=own_settings(row.variant),
        metric=row.metric,
        labelled=row.labelled,
        mean=mean,
        draws=draws,
        low=min(draws),
        high=max(draws),
    )


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _shown_panels(points: list[CurvePoint]) -> list[str]:
    """Methods with two budgets in a metric, those with the highest score in it first."""
    budgets: dict[tuple[str, str], dict[int, float]] = {}
    for point in points:
        budgets.setdefault((point.panel, point.metric), {})[point.labelled] = point.mean
    highest: dict[str, float] = {}
    for (panel, _), means in budgets.items():
        if len(means) > 1:
            highest.setdefault(panel, max(means.values()))
    return sorted(highest, key=lambda panel: -highest[panel])[:MOST]


# ---- Specification


def curve_spec(
    board: Board,
    task: str,
    dataset: str,
    methods: list[CurvePoint],
    reference: list[CurvePoint],
) -> Spec:
    """Panels that follow the signals `settings` and `metric`."""
    view = first_view(board, task, dataset)
    card = board.datasets[dataset]
    units = tables.plural(tables.short_unit(card), 2)
    metrics = {point.metric for point in methods}
    titles = {metric: f"{board.column(metric).title} vs labelled {units}" for metric in metrics}
    params = {"settings": view.settings, "metric": view.metric, "titles": titles}
    bound = [point for point in reference if point.labelled == card.train_groups]
    budgets = sorted({point.labelled for point in methods})
    panel = {"layer": [*_reference_layers(reference, bound), *_method_layers(budgets)]}
    values = [point._asdict() for point in methods]
    description = f"Score against labelled {units}, a panel for each method"
    spec = look.small_multiples(description, values, params, panel)
    spec["title"]["text"] = {"expr": "titles[metric]"}
    # Above the panels: a layer that flattens would show the draws of all panels in each.
    spec["transform"] = [
        {"filter": VIEW_FILTER},
        {"calculate": "join(datum.draws, ', ')", "as": "each"},
        {"flatten": ["draws"]},
    ]
    best_first = {"field": "mean", "op": "max", "order": "descending"}
    spec["facet"] = look.facet(best_first)
    return spec


def _x_axis(budgets: list[int]) -> Spec:
    axis = {"title": None, "values": budgets, "format": "d", "grid": False, "labelOverlap": True}
    scale = {"type": "log", "nice": False, "padding": 8}
    return {"field": "labelled", "type": "quantitative", "scale": scale, "axis": axis}


def _y_axis(field: str) -> Spec:
    axis = {"title": None, "tickCount": 4}
    scale = {"zero": False, "padding": 6}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def _reference_layers(reference: list[CurvePoint], bound: list[CurvePoint]) -> list[Spec]:
    only_metric = [{"filter": METRIC_FILTER}]
    data = {"values": [point._asdict() for point in reference]}
    x = {"field": "labelled", "type": "quantitative"}
    band = {
        "data": data,
        "transform": only_metric,
        "mark": {"type": "area", "color": look.QUIET, "opacity": 0.25},
        "encoding": {"x": x, "y": _y_axis("low"), "y2": {"field": "high"}},
    }
    line = {
        "data": data,
        "transform": only_metric,
        "mark": {"type": "line", "color": look.QUIET, "strokeWidth": 1.5},
        "encoding": {"x": x, "y": _y_axis("mean")},
    }
    top = {
        "data": {"values": [point._asdict() for point in bound]},
        "transform": only_metric,
        "mark": {"type": "rule", "color": look.INK, "strokeDash": [4, 3], "opacity": 0.8},
        "encoding": {"y": _y_axis("mean")},
    }
    return [band, line, top]


def _method_layers(budgets: list[int]) -> list[Spec]:
    x = _x_axis(budgets)
    tooltip = [
        {"field": "panel", "title": "Method"},
        {"field": "id", "title": "Id"},
        {"field": "labelled", "title": "Labelled"},
        {"field": "mean", "title": "Mean"},
        {"field": "each", "title": "Small dots"},
    ]
    mean = {**_y_axis("mean"), "aggregate": "mean"}
    line = {
        "mark": {"type": "line", "color": look.BLUE, "strokeWidth": 2},
        "encoding": {"x": x, "y": mean},
    }
    draws = {
        "mark": {"type": "circle", "color": look.BLUE, "size": 18, "opacity": 0.7},
        "encoding": {"x": x, "y": _y_axis("draws")},
    }
    dots = {
        "mark": {"type": "circle", "color": look.BLUE, "size": 60, "opacity": 1},
        "encoding": {"x": x, "y": mean, "tooltip": tooltip},
    }
    return [line, draws, dots]
