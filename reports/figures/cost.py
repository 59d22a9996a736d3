"""Score against training time at the chosen budget, with the spread of the draws."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from bench.board.schema import Board, Row, RowCost
from bench.names import DEFAULT, duration, method_label
from reports.draws import section_draws
from reports.figures import look
from reports.figures.figure import Figure, Spec, make_figure
from reports.figures.views import compared_rows, first_view, own_settings
from reports.page import tables
from reports.wording import full_name

MOST = 30  # methods of a budget; names of more would not fit beside the plot
SECONDS = ("train_seconds", "part_seconds", "tune_seconds")
HOURS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
TICKS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, *(3600 * n for n in HOURS)]  # seconds
CAPTION = (
    "Dot: mean over test patients and {draws}. Line: range of the {draws}. Time: seconds a run "
    "takes for training, shared parts and tuning, a mean over runs, which depends on the machine. "
    "Up and to the left is better where a higher score is."
)
VIEW_FILTER = f"datum.labelled == labelled && datum.metric == metric && {look.SETTINGS}"
LINE, LEAST_HEIGHT = 22, 240  # px
NAMES_WIDTH, NARROW_NAMES_WIDTH = 250, 150  # px to the right of the plot
NARROW_LETTERS = 15  # of a line of a name
LEFT, TOP, BOTTOM = 52, 34, 46
# Where the name of a method stands: evenly spaced beside the plot, highest score first.
NAME_HEIGHT = "height * (datum.rank - 0.5) / datum.methods"


class CostPoint(NamedTuple):
    """A method at a budget."""

    labelled: int
    metric: str
    settings: str
    name: str
    id: str
    is_reference: bool
    seconds: float
    time: str
    mean: float
    low: float  # lowest and highest draw
    high: float


def section_figure(board: Board, task: str, dataset: str) -> Figure | None:
    """The figure of a section; None where nothing was timed."""
    points = list_points(board, task, dataset)
    if not points:
        return None
    spec = cost_spec(board, task, dataset, points)
    caption = CAPTION.format(draws=section_draws(board, task, dataset))
    return make_figure("cost", "Score vs training time", caption, spec)


def list_points(board: Board, task: str, dataset: str) -> list[CostPoint]:
    """Each method at each budget in each metric, as far as it was timed; the best of very many."""
    costs: dict[tuple[int, str, str], RowCost] = {}
    for cost in board.cost:
        if (cost.task, cost.dataset) == (task, dataset):
            costs[cost.labelled, cost.method, cost.variant] = cost
    rows = sorted(compared_rows(board, task, dataset), key=lambda row: -(row.mean or 0.0))
    counts: dict[tuple[int, str], int] = {}
    points = []
    for row in rows:
        cost_of_row = costs.get((row.labelled, row.method, row.variant))
        seconds = _seconds(cost_of_row) if cost_of_row else 0.0
        group = (row.labelled, row.metric)
        if seconds > 0 and counts.get(group, 0) < MOST:
            counts[group] = counts.get(group, 0) + 1
            points.append(_make_point(board, row, seconds))
    return points


def _seconds(cost: RowCost) -> float:
    return sum(getattr(cost, key) or 0.0 for key in SECONDS)


def _make_point(board: Board, row: Row, seconds: float) -> CostPoint:
    mean = float(f"{row.mean or 0.0:.4g}")
    draws = [float(f"{draw:.4g}") for draw in tables.subset_means(board, row)]
    return CostPoint(
        labelled=row.labelled,
        metric=row.metric,
        settings=own_settings(row.variant),
        name=full_name(board, row.method, row.variant),
        id=method_label(row.method, row.variant),
        is_reference=row.method == board.suite.reference and row.variant == DEFAULT,
        seconds=float(f"{seconds:.4g}"),
        time=duration(seconds),
        mean=mean,
        low=min([*draws, mean]),
        high=max([*draws, mean]),
    )


# ---- Specification


def cost_spec(board: Board, task: str, dataset: str, points: list[CostPoint]) -> Spec:
    """A scatter whose names stand beside it; it follows budget, settings and metric."""
    view = first_view(board, task, dataset)
    counts = Counter((point.labelled, point.metric) for point in points)
    params = {
        "labelled": view.labelled,
        "settings": view.settings,
        "metric": view.metric,
        "titles": _titles(board, points),
    }
    lines = {point.name: look.name_lines(point.name, NARROW_LETTERS) for point in points}
    values = [{**point._asdict(), "narrow": lines[point.name]} for point in points]
    spec = look.one_view("Score against training time, one dot a method", values, params)
    spec["transform"] = [
        {"filter": VIEW_FILTER},
        {
            "window": [{"op": "row_number", "as": "rank"}],
            "sort": [{"field": "mean", "order": "descending"}],
        },
        {"joinaggregate": [{"op": "count", "as": "methods"}]},
    ]
    spec["title"] = {"text": {"expr": "titles[metric]"}, "dx": -LEFT}
    spec["height"] = max(LEAST_HEIGHT, LINE * max(counts.values()))
    spec["padding"] = {"left": LEFT, "right": NAMES_WIDTH, "top": TOP, "bottom": BOTTOM}
    spec["layer"] = _layers("name", NAMES_WIDTH)
    narrow = _narrow_parts(max(map(len, lines.values())), max(counts.values()))
    spec["usermeta"] = {"narrow": narrow}
    return spec


def _titles(board: Board, points: list[CostPoint]) -> dict[str, str]:
    """The title for each metric."""
    metrics = dict.fromkeys(point.metric for point in points)
    return {metric: f"{board.column(metric).title} vs training time" for metric in metrics}


def _narrow_parts(lines: int, methods: int) -> Spec:
    """Room for names in so many lines, beside a plot that is as much higher."""
    padding = {"left": LEFT, "right": NARROW_NAMES_WIDTH, "top": TOP, "bottom": BOTTOM}
    height = (LINE + look.NAME_LINE * (lines - 1)) * methods
    return {
        "padding": padding,
        "height": max(LEAST_HEIGHT, height),
        "layer": _layers("narrow", NARROW_NAMES_WIDTH),
    }


def _layers(name_field: str, names_width: int) -> list[Spec]:
    x = {
        "field": "seconds",
        "type": "quantitative",
        "scale": {"type": "log", "nice": False, "padding": 12},
        "axis": {
            "title": "Time per run, logarithmic",
            "values": TICKS,
            "labelExpr": (
                "datum.value < 60 ? datum.value + ' s' : "
                "datum.value < 3600 ? datum.value / 60 + ' min' : datum.value / 3600 + ' h'"
            ),
            "labelOverlap": "greedy",
            "labelSeparation": 8,
        },
    }
    y = {
        "field": "mean",
        "type": "quantitative",
        "scale": {"zero": False, "padding": 10},
        "axis": {"title": None, "tickCount": 5},
    }
    colour = {"condition": {"test": "datum.is_reference", "value": look.INK}, "value": look.BLUE}
    leader = {
        "mark": {"type": "rule", "color": look.RULE},
        "encoding": {
            "x": x,
            "y": y,
            "x2": {"value": {"expr": "width + 14"}},
            "y2": {"value": {"expr": NAME_HEIGHT}},
        },
    }
    spread = {
        "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.6},
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
    }
    dot = {
        "mark": {"type": "circle", "size": 90, "opacity": 1},
        "encoding": {"x": x, "y": y, "color": colour, "tooltip": _tooltip()},
    }
    place = {"x": {"value": {"expr": "width + 18"}}, "y": {"value": {"expr": NAME_HEIGHT}}}
    name = {
        "mark": look.name_mark(name_field, names_width - 22),
        "encoding": {**place, "text": {"field": name_field}, "tooltip": _tooltip()},
    }
    return [leader, spread, dot, name]


def _tooltip() -> list[Spec]:
    return [
        {"field": "name", "title": "Method"},
        {"field": "id", "title": "Id"},
        {"field": "mean", "title": "Score"},
        {"field": "time", "title": "Time"},
    ]
